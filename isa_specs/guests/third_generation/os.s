; A supervisor and one user program. The user program sees a window that R opens for it, prints by supervisor calls, and in the
; end reaches beyond its window, which is a trap.
output = 1
        .org  0                ; the old PSW, and the new one: supervisor mode, R opens storage from its beginning
old:    .quad 0
new:    .quad handler*0x100000000+0x1000
start:  L     5,call(0)
        L     8,newline(0)
        L     9,mark(0)
        LPSW  user(0)
handler: L    4,old(0)         ; mode, cause, number, counter
        BL    4,5,refused
        OUT   1,output(0)
        LPSW  old(0)
refused: OUT  9,output(0)
        OUT   8,output(0)
        HALT
        .align 8
user:   .quad 0x8000000004000040      ; user mode, a window of 40 (hexadecimal) words from the 400th on
call:   .word 0x84000000       ; what a supervisor call leaves in the first word, at least
newline: .word 10
mark:   .word 33

        .org  0x1000           ; location 0 of the window
        L     2,one-user_base(0)
        L     1,letter-user_base(0)
        LA    3,0(0)
again:  SVC   7
        A     1,2
        A     3,2
        L     6,count-user_base(0)
        BL    3,6,again-user_base
        ST    1,0x100(0)       ; the first word behind the window
        SVC   7                ; not reached
user_base = 0x1000
letter: .word 97
one:    .word 1
count:  .word 10
