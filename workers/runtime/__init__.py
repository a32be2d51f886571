"""What happens to a job whatever it does: started, watched, stopped, recovered, tidied up."""
