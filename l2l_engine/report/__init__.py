"""A prediction as something to look at: one HTML page, or one picture."""

from l2l_engine.report.page import timeline_page, write_timeline
from l2l_engine.report.plot import write_plot
from l2l_engine.report.problems import PlotUnavailableError, ReportWriteError

__all__ = ["PlotUnavailableError", "ReportWriteError", "timeline_page", "write_plot", "write_timeline"]
