"""A report as text for a terminal, as Markdown, and as JSON. No renderer decides anything."""
