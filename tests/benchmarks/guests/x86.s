; One privileged instruction in ``every``: behind it a loop, ``inner`` times, all of it ``outer`` times.
start:  mov edi,outer
again:  mov eax,cr3
        mov ecx,inner
in:     add ebx,ecx
        xor edx,ebx
        dec ecx
        jnz in
        dec edi
        jnz again
        cli
        hlt
