"""Stories: one file per kind of case, each readable from top to bottom by the person who does the job."""
