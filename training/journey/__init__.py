"""From a folder of footage to a plan and a report."""
