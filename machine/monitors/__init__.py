"""Virtual machine monitors: Popek and Goldberg's construction made executable, for any described machine."""
