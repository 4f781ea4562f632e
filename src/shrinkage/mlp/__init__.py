"""Networks of dense layers, trained by compiled loops without torch."""
