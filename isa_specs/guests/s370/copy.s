; Copies a string with MVC, once more byte by byte, compares the two and prints the second.
start:  MVC   first(text_end-text-1,0),text(0)
        SR    2,2
        LA    3,text_end-text(0,0)
next:   IC    4,first(2,0)
        STC   4,second(2,0)
        LA    2,1(0,2)
        BCT   3,next(0,0)
        CLC   first(text_end-text-1,0),second(0)
        BC    7,stopped(0,0)
        LA    5,second(0,0)
        LA    3,text_end-text(0,0)
print:  WRD   0(5),1
        LA    5,1(0,5)
        BCT   3,print(0,0)
stopped: LPSW stop(0)
        .align 8
stop:   .quad 0x0002000000000000
text:   .ascii "a string, moved twice\n"
text_end:
first:  .space 40
second: .space 40
