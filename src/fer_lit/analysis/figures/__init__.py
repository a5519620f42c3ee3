"""The figures of an analysis, by what they show; `illustrations` draws them into files."""
