; A small operating system: a supervisor with system calls and preemption by the interval timer, and two user programs in
; problem state, each with a storage key of its own. It ends when both have.
;
;   SVC 0  end this program        SVC 1  print the character in register 1        SVC 2  let the other program run

external_old = 0x18
svc_old      = 0x20
program_old  = 0x28
psw          = 64              ; in a process block: 16 registers, PSW, next block, 1 when it runs
next         = 72
runs         = 76

        .org  0x58             ; new PSWs: external, supervisor call, program
        .quad external
        .quad call
        .quad program

        .org  0x200
start:  LA    1,0x10(0,0)      ; storage keys: 1 for the first program, 2 for the second
        L     2,areas(0,0)
        SSK   1,2
        LA    1,0x20(0,0)
        L     2,areas+4(0,0)
        SSK   1,2
        BC    15,dispatch(0,0)

; ---- interruptions: everything is disabled here ----------------------------------------------------------------

external: STM 0,15,scratch(0)
        L     2,current(0,0)
        MVC   psw(7,2),external_old(0)
        BAL   14,save(0,0)

switch: L     2,current(0,0)   ; the next program that runs, or this one
        LR    3,2
search: L     3,next(0,3)
        L     4,runs(0,3)
        LTR   4,4
        BC    6,found(0,0)
        CR    3,2
        BC    6,search(0,0)
        LA    5,done(0,0)      ; none
        LA    6,done_end-done(0,0)
farewell: WRD 0(5),1
        LA    5,1(0,5)
        BCT   6,farewell(0,0)
        LPSW  stop(0)
found:  ST    3,current(0,0)

dispatch: L   2,current(0,0)
        MVC   resume(7,0),psw(2)
        LM    0,15,0(2)
        LPSW  resume(0)

save:   MVC   0(63,2),scratch(0)
        BCR   15,14

call:   STM   0,15,scratch(0)
        L     2,current(0,0)
        MVC   psw(7,2),svc_old(0)
        BAL   14,save(0,0)
        CLI   svc_old+3(0),1
        BC    8,print(0,0)
        CLI   svc_old+3(0),2
        BC    8,switch(0,0)
end:    SR    4,4
        ST    4,runs(0,2)
        BC    15,switch(0,0)
print:  WRD   7(2),1           ; the last byte of the saved register 1
        BC    15,dispatch(0,0)

program: STM  0,15,scratch(0)
        L     2,current(0,0)
        MVC   psw(7,2),program_old(0)
        BAL   14,save(0,0)
        WRD   mark(0),1
        BC    15,end(0,0)

        .align 8
stop:   .quad 0x0002000000000000        ; disabled wait
resume: .quad 0
current: .word first
areas:  .word 0x2000, 0x3000
scratch: .space 64
mark:   .ascii "!"
done:   .ascii " done\n"
done_end:
        .align 8
first:  .space 64
        .quad 0x0111000000002000        ; enabled for external interruptions, key 1, problem state
        .word second, 1
second: .space 64
        .quad 0x0121000000003000
        .word first, 1

; ---- the first program prints a letter now and then, and ends --------------------------------------------------

        .org  0x2000
        BALR  12,0
one:    LA    5,65(0,0)        ; A
        LA    6,6(0,0)
work:   LA    7,150(0,0)
busy:   BCT   7,busy-one(0,12)
        LR    1,5
        SVC   1
        LA    5,1(0,5)
        BCT   6,work-one(0,12)
        SVC   0

; ---- the second yields once, and in the end tries what only the supervisor may ---------------------------------

        .org  0x3000
        BALR  12,0
two:    LA    5,97(0,0)        ; a
        LA    6,6(0,0)
        SVC   2
toil:   LA    7,100(0,0)
idle:   BCT   7,idle-two(0,12)
        LR    1,5
        SVC   1
        LA    5,1(0,5)
        BCT   6,toil-two(0,12)
        SSM   0(12)
        SVC   1                ; not reached
