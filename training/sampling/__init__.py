"""Ways to look at a video: what each costs and loses."""
