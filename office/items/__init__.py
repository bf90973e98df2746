"""Items by the thousand, in a message or a file: read in whatever form they come, each judged by itself."""
