"""Images to detections: the detector contract arrives with the vision work."""
