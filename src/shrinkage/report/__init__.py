"""Pages: what a study found, and how weights moved, each in one HTML file that opens offline."""

from shrinkage.report.paths import write_paths
from shrinkage.report.study_page import write_report

__all__ = ["write_paths", "write_report"]
