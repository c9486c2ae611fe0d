"""When in a run does a prompt matter? A before step k, B from it on, for every k."""
