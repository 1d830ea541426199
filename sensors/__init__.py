"""What comes in: one file (or folder) a source, and the tracker that fuses it."""
