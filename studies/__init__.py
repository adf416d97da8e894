"""One-off studies; README.md says what each asked, and where its answer stands. Nothing imports them."""
