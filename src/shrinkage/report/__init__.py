"""Pages that open offline, one file each: a study, weights over steps, networks, laws."""

from shrinkage.report.laws import write_laws
from shrinkage.report.paths import write_paths
from shrinkage.report.study_page import write_report
from shrinkage.report.trainings import write_trainings

__all__ = ["write_laws", "write_paths", "write_report", "write_trainings"]
