"""Which videos there are and what happens when: manifests, sets, segments."""
