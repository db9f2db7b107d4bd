; New PSWs that lead to random places, so that an attacker goes on after whatever it has caused.
        .org 0x58
        .quad p0                       ; external
        .quad u1*0x0001000000000000+p1  ; supervisor call, on in problem state when u1 is 1
        .quad u2*0x0001000000000000+p2  ; program
        .quad p3                       ; machine check
        .quad p4                       ; input and output
        .org 0xF0
start:  LPSW first(0)
first:  .quad u5*0x0001000000000000+p5
