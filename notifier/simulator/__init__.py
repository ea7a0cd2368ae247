"""The stand-in for X: scripted timelines, both contracts, fault injection."""
