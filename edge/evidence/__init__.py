"""Evidence as an edge makes it: statement over a folder, sealed by the device's key, sent."""
