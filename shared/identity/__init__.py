"""Who calls, and who the app is."""
