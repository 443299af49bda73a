"""What devices and servers say to one another, and the rules that both follow. Pure: no Django, no database, no network."""
