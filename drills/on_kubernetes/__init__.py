"""Drills in a cluster where Seatrial is installed: one file each, in the order in which a reader meets them."""

DRILLS = ("kill_pod", "drain_node", "missing_image")
