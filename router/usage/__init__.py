"""What vendors used: added up, compared with what happened, priced, closed by the month."""
