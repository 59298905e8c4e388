"""What people look at: ``build`` turns results into pages."""
