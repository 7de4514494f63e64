"""How fast the app is, beside what it is compared to, in one run: `make bench`."""
