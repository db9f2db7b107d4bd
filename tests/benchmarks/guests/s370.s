; One privileged instruction in ``every``: behind it a loop, ``inner`` times, all of it ``outer`` times.
start:  L 2,rounds(0,0)
again:  SSM zero(0)
        L 3,times(0,0)
in:     AR 4,3
        XR 5,4
        BCT 3,in(0,0)
        BCT 2,again(0,0)
        LPSW stop(0)
        .align 8
stop:   .quad 0x0002000000000000
rounds: .word outer
times:  .word inner
zero:   .byte 0
