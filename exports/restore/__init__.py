"""What a backup holds is put back: checked first, compared with what is here, then all of it or nothing."""
