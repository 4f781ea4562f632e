"""Pages that open offline, one file each: a study, weights over steps, networks, laws."""

from shrinkage.report.laws_page import write_laws
from shrinkage.report.study_page import write_report
from shrinkage.report.trainings_page import write_trainings
from shrinkage.report.weight_paths import write_paths

__all__ = ["write_laws", "write_paths", "write_report", "write_trainings"]
