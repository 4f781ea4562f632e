"""Run many trials at a time: in threads and processes of this machine, or on a cluster."""
