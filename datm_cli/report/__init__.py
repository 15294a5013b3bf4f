"""Pages of HTML that stand alone: a run's report, and the charts that any page can hold."""
