"""Pages that open offline, one file each: studies, paths, weights over steps, networks, laws."""

from shrinkage.report.laws_page import write_laws
from shrinkage.report.path_page import write_path
from shrinkage.report.study_page import write_report
from shrinkage.report.trainings_page import write_trainings
from shrinkage.report.weight_paths import write_paths

__all__ = ["write_laws", "write_path", "write_paths", "write_report", "write_trainings"]
