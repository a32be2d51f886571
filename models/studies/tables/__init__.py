"""The tables of a study, one a file: typed figures that the renderers lay out."""

from models.studies.tables.baselines import BaselinesTable
from models.studies.tables.costs import CostsTable
from models.studies.tables.partition import PartitionTable
from models.studies.tables.performance import PerformanceTable
from models.studies.tables.significance import SignificanceTable
from models.studies.tables.table import Entry, Record, Sheet, StudyTable
from models.studies.tables.transfer import TransferTable

__all__ = [
    "BaselinesTable",
    "CostsTable",
    "Entry",
    "PartitionTable",
    "PerformanceTable",
    "Record",
    "Sheet",
    "SignificanceTable",
    "StudyTable",
    "TransferTable",
]
