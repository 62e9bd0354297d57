; The built-in demo guest: a multiboot 1 kernel of our own that greets, shows the machine, tests it, measures it, and listens.
;
; Flat 32-bit protected mode, loaded at 1 MiB by the header's address fields (no linker needed):
;     nasm -f bin -o guest.bin src/guest.asm
; Talks on COM1 (115200 8N1; output polled, input by IRQ 4), keeps time with PIT channel 0 at 1 kHz (IRQ 0), powers off through
; the ACPI PM1a control register. Word on the command line: "once" = power off after the first round of checks.
; Sources: Multiboot 0.6.96; Intel SDM Vol. 2 and 3; Intel 8254, 8259A, PC16550D data sheets; ACPI 1.0 section 4.7.3.

        bits 32
        org 0x100000

COM1    equ 0x3f8
CODE    equ 0x08
DATA    equ 0x10
PAGEDIR equ 0x200000            ; paging check: one page directory and one page table, then two test pages
PAGETAB equ 0x201000
PAGE_A  equ 0x202000
BUFFER  equ 0x300000            ; copy benchmark, 64 KiB twice

%macro  say 1+                  ; print literal text; \n becomes CR LF
        push esi
        mov esi, %%text
        call puts
        pop esi
        jmp %%over
%%text: db %1, 0
%%over:
%endmacro

%macro  expect 2                ; fail the running check unless %1 == %2
        cmp %1, %2
        jne check_failed
%endmacro

; ---------------------------------------------------------------- multiboot header
header:
        dd 0x1badb002
        dd 0x00010003           ; page align, memory information, address fields
        dd -(0x1badb002 + 0x00010003)
        dd header, header, data_end, bss_end, start

; ---------------------------------------------------------------- start
start:
        cli
        cld
        mov esp, stack_top
        mov [boot_magic], eax
        mov [boot_info], ebx
        lgdt [gdt_pointer]
        jmp CODE:.flat
.flat:  mov ax, DATA
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        call serial_init
        call idt_init
        call pic_init
        call pit_init
        call probe_cpu
        sti

        say 10, '  emkit demo guest: a small multiboot kernel', 10
        say '  ------------------------------------------', 10
        call show_cpu
        call show_memory
        call run_checks
        mov dword [bench_ms], 50
        call run_bench
        call command_line_once
        jc do_poweroff
        say 10, '  Type help for the commands.', 10, 10
        jmp prompt

; ---------------------------------------------------------------- serial port (PC16550D)
serial_init:
        mov dx, COM1 + 1
        xor al, al
        out dx, al              ; no interrupts yet
        mov dx, COM1 + 3
        mov al, 0x80            ; DLAB
        out dx, al
        mov dx, COM1
        mov al, 1               ; 115200 baud
        out dx, al
        inc dx
        xor al, al
        out dx, al
        mov dx, COM1 + 3
        mov al, 3               ; 8N1
        out dx, al
        mov dx, COM1 + 2
        mov al, 0x07            ; FIFOs on and cleared, trigger at 1 byte
        out dx, al
        mov dx, COM1 + 4
        mov al, 0x0b            ; DTR, RTS, OUT2 (gates the interrupt)
        out dx, al
        mov dx, COM1 + 1
        mov al, 1               ; received data available
        out dx, al
        ret

putc:                           ; AL, keeps all registers
        push edx
        push eax
        mov dx, COM1 + 5
.wait:  in al, dx
        test al, 0x20           ; THR empty
        jz .wait
        pop eax
        mov dx, COM1
        out dx, al
        pop edx
        ret

puts:                           ; ESI = text, 0-terminated
        push eax
.next:  lodsb
        test al, al
        jz .end
        cmp al, 10
        jne .plain
        mov al, 13
        call putc
        mov al, 10
.plain: call putc
        jmp .next
.end:   pop eax
        ret

put_hex:                        ; EAX, CL = digits
        push ebx
        push ecx
        push eax
        mov ebx, eax
        movzx ecx, cl
.digit: push ecx
        dec ecx
        shl ecx, 2
        mov eax, ebx
        shr eax, cl
        and eax, 15
        mov al, [hex_digits + eax]
        call putc
        pop ecx
        loop .digit
        pop eax
        pop ecx
        pop ebx
        ret

put_dec:                        ; EAX unsigned
        push eax
        push ebx
        push ecx
        push edx
        mov ebx, 10
        xor ecx, ecx
.split: xor edx, edx
        div ebx
        push edx
        inc ecx
        test eax, eax
        jnz .split
.out:   pop eax
        add al, '0'
        call putc
        loop .out
        pop edx
        pop ecx
        pop ebx
        pop eax
        ret

; ---------------------------------------------------------------- interrupts
idt_init:
        mov edi, idt
        mov ebx, vectors
        xor ecx, ecx
.gate:  mov eax, [ebx + ecx * 4]
        mov [edi], ax
        mov word [edi + 2], CODE
        mov word [edi + 4], 0x8e00
        shr eax, 16
        mov [edi + 6], ax
        add edi, 8
        inc ecx
        cmp ecx, 48
        jb .gate
        lidt [idt_pointer]
        ret

%assign v 0
%rep 32
trap_ %+ v:
%if v = 8 || (v >= 10 && v <= 14) || v = 17
%else
        push dword 0            ; no error code: keep one frame shape
%endif
        push dword v
        jmp trap
%assign v v + 1
%endrep

; A trap is expected when trap_resume is set: it notes vector, code and CR2 and continues there. Otherwise the guest stops.
trap:
        cmp dword [trap_resume], 0
        je .fatal
        push eax
        mov eax, [esp + 4]
        mov [trap_vector], eax
        mov eax, [esp + 8]
        mov [trap_code], eax
        mov eax, cr2
        mov [trap_cr2], eax
        mov eax, [trap_resume]
        mov [esp + 12], eax
        mov dword [trap_resume], 0
        pop eax
        add esp, 8
        iret
.fatal: say 10, '  unexpected exception '
        pop eax
        call put_dec
        say ' code '
        pop eax
        mov cl, 8
        call put_hex
        say ' at '
        pop eax
        call put_hex
        say 10
        jmp do_poweroff

irq_timer:
        push eax
        inc dword [ticks]
        mov al, 0x20
        out 0x20, al
        pop eax
        iret

irq_serial:
        push eax
        push ebx
        push edx
.more:  mov dx, COM1 + 5
        in al, dx
        test al, 1
        jz .done
        mov dx, COM1
        in al, dx
        mov ebx, [rx_head]
        mov [rx_ring + ebx], al
        inc ebx
        and ebx, 255
        cmp ebx, [rx_tail]
        je .more                ; ring full: the byte is lost, as on any UART
        mov [rx_head], ebx
        jmp .more
.done:  mov al, 0x20
        out 0x20, al
        pop edx
        pop ebx
        pop eax
        iret

irq_other:                      ; spurious or masked lines
        iret

pic_init:                       ; 8259A: ICW1-4, vectors 0x20 and 0x28
        mov al, 0x11
        out 0x20, al
        out 0xa0, al
        mov al, 0x20
        out 0x21, al
        mov al, 0x28
        out 0xa1, al
        mov al, 4
        out 0x21, al
        mov al, 2
        out 0xa1, al
        mov al, 1
        out 0x21, al
        out 0xa1, al
        mov al, 0xee            ; IRQ 0 and IRQ 4 open
        out 0x21, al
        mov al, 0xff
        out 0xa1, al
        ret

timer_off:                      ; an idle prompt costs the host nothing
        mov al, 0xef
        out 0x21, al
        ret

timer_on:
        mov al, 0xee
        out 0x21, al
        ret

pit_init:                       ; 8254 channel 0, mode 2, 1193182 / 1193 = 1000 Hz
        mov al, 0x34
        out 0x43, al
        mov al, 1193 & 255
        out 0x40, al
        mov al, 1193 >> 8
        out 0x40, al
        ret

; ---------------------------------------------------------------- what machine is this
probe_cpu:
        pushfd
        pop eax
        mov ecx, eax
        xor eax, 0x200000       ; EFLAGS.ID can be changed where CPUID exists
        push eax
        popfd
        pushfd
        pop eax
        push ecx
        popfd
        xor eax, ecx
        test eax, 0x200000
        jz .none
        mov byte [has_cpuid], 1
        xor eax, eax
        cpuid
        mov [max_leaf], eax
        mov [vendor], ebx
        mov [vendor + 4], edx
        mov [vendor + 8], ecx
        cmp dword [max_leaf], 1
        jb .none
        mov eax, 1
        cpuid
        mov [signature], eax
        mov [features], edx
        mov [features_ecx], ecx
        mov eax, 0x80000000
        cpuid
        mov [max_extended], eax
        cmp eax, 0x80000004
        jb .none
        mov edi, brand
        mov esi, 0x80000002
.brand: mov eax, esi
        cpuid
        mov [edi], eax
        mov [edi + 4], ebx
        mov [edi + 8], ecx
        mov [edi + 12], edx
        add edi, 16
        inc esi
        cmp esi, 0x80000005
        jb .brand
.none:  ret

show_cpu:
        cmp byte [has_cpuid], 0
        jne .has
        say '  CPU       486 class, no CPUID', 10
        ret
.has:   say '  CPU       '
        mov esi, brand
.skip:  lodsb
        cmp al, ' '
        je .skip
        dec esi
        cmp byte [esi], 0
        je .nobrand
        call puts
        say ' ('
        mov esi, vendor
        call puts
        say ')', 10
        jmp .model
.nobrand:
        mov esi, vendor
        call puts
        say 10
.model: say '            family '
        mov eax, [signature]
        shr eax, 8
        and eax, 15
        cmp eax, 15
        jne .fam
        mov ebx, [signature]
        shr ebx, 20
        and ebx, 255
        add eax, ebx
.fam:   call put_dec
        say ', model '
        mov eax, [signature]
        shr eax, 4
        and eax, 15
        mov ebx, [signature]
        shr ebx, 12
        and ebx, 0xf0
        or eax, ebx
        call put_dec
        say ', stepping '
        mov eax, [signature]
        and eax, 15
        call put_dec
        say 10, '  features '
        mov ebx, [features]
        mov esi, feature_names
        mov ecx, 11             ; columns used
        xor edx, edx
.bit:   bt ebx, edx
        jnc .nofeature
        cmp byte [esi], 0
        je .nofeature
        push esi
        mov edi, esi
.len:   inc edi
        cmp byte [edi], 0
        jne .len
        sub edi, esi
        lea edi, [edi + ecx + 1]
        cmp edi, 76
        jb .fits
        say 10, '           '
        sub edi, ecx
        add edi, 11
.fits:  mov ecx, edi
        say ' '
        call puts
        pop esi
.nofeature:
        lodsb
        test al, al
        jnz .nofeature
        inc edx
        cmp edx, 27
        jb .bit
        say 10
        ret

show_memory:
        cmp dword [boot_magic], 0x2badb002
        jne .unknown
        mov ebp, [boot_info]
        say '  memory    '
        mov eax, [ebp + 4]
        call put_dec
        say ' KiB low, '
        mov eax, [ebp + 8]
        shr eax, 10
        call put_dec
        say ' MiB from 1 MiB up', 10
        test dword [ebp], 64
        jz .end
        mov esi, [ebp + 48]
        mov edi, [ebp + 44]
        add edi, esi
.entry: cmp esi, edi
        jae .end
        say '            '
        mov edx, [esi + 8]
        mov eax, [esi + 4]
        call put_address
        say ' - '
        mov eax, [esi + 4]
        mov edx, [esi + 8]
        add eax, [esi + 12]
        adc edx, [esi + 16]
        sub eax, 1
        sbb edx, 0
        call put_address
        cmp dword [esi + 20], 1
        jne .reserved
        say '  usable', 10
        jmp .step
.reserved:
        say '  reserved', 10
.step:  add esi, [esi]
        add esi, 4
        jmp .entry
.unknown:
        say '  memory    unknown (not started by a multiboot loader)', 10
.end:   ret

put_address:                    ; EDX:EAX as 9 digits
        push eax
        mov eax, edx
        mov cl, 1
        call put_hex
        pop eax
        mov cl, 8
        call put_hex
        ret

; ---------------------------------------------------------------- self-check
run_checks:
        say '  self-check '
        mov dword [checks_run], 0
        mov dword [checks_bad], 0
        mov ebx, check_table
.next:  mov esi, [ebx]
        test esi, esi
        jz .done
        mov eax, [ebx + 8]      ; feature bits this check needs
        mov edx, [features]
        and edx, eax
        cmp edx, eax
        jne .skip
        inc dword [checks_run]
        mov [check_stack], esp
        pushad
        sub dword [check_stack], 32
        mov dword [trap_resume], check_trapped
        call [ebx + 4]
        jmp .good
.good:  mov dword [trap_resume], 0
        popad
        say ' '
        call puts
.skip:  add ebx, 12
        jmp .next
.done:  say 10, '             '
        mov eax, [checks_run]
        sub eax, [checks_bad]
        call put_dec
        say ' of '
        mov eax, [checks_run]
        call put_dec
        say ' ok', 10
        ret

check_trapped:                  ; an exception nobody asked for
check_failed:                   ; from anywhere inside a check, any stack depth
        cli
        mov eax, cr0
        and eax, 0x7fffffff     ; paging off again
        mov cr0, eax
        sti
        mov dword [trap_resume], 0
        mov esp, [check_stack]
        popad
        inc dword [checks_bad]
        say ' '
        call puts
        say ':FAILED'
        jmp run_checks.skip

check_arithmetic:
        mov eax, 0xffffffff
        mov edx, 0x7fffffff
        add eax, 1
        adc edx, 0
        expect eax, 0
        expect edx, 0x80000000
        mov eax, 0x12345678
        mov ecx, 0x9abcdef0
        mul ecx
        expect eax, 0x242d2080
        expect edx, 0x0b00ea4e
        mov ecx, 0x12345679
        div ecx
        expect eax, 0x9abcdee7  ; 0x0b00ea4e242d2080 / 0x12345679
        expect edx, 0x091a2b51
        mov eax, -7
        cdq
        mov ecx, 2
        idiv ecx
        expect eax, -3
        expect edx, -1
        mov eax, -123456
        imul eax, eax, 1000
        expect eax, -123456000
        mov eax, 0x80000001
        mov edx, 0xf0000000
        shld eax, edx, 4
        expect eax, 0x0000001f
        rol eax, 28
        expect eax, 0xf0000001
        bsf ecx, eax
        expect ecx, 0
        bsr ecx, eax
        expect ecx, 31
        bswap eax
        expect eax, 0x010000f0
        mov al, 0x79
        add al, 0x35
        daa
        expect al, 0x14
        mov ax, 0x0307
        aad
        expect ax, 37
        ret

check_flags:                    ; OF SF ZF AF PF CF = 0x8d5
%macro  flags_of 1
        pushfd
        pop eax
        and eax, 0x8d5
        expect eax, %1
%endmacro
        mov al, 0x7f
        add al, 1
        flags_of 0x890          ; overflow, sign, auxiliary
        mov al, 0xff
        add al, 1
        flags_of 0x055          ; zero, auxiliary, parity, carry
        mov al, 0
        sub al, 1
        flags_of 0x095          ; sign, auxiliary, parity, carry
        mov eax, 0x80000000
        neg eax
        flags_of 0x885          ; overflow, sign, parity, carry
        mov eax, 5
        cmp eax, 7
        setl cl
        setb ch
        expect cx, 0x0101
        stc
        mov eax, 0
        inc eax                 ; INC keeps the carry
        jnc check_failed
        mov al, 0x81
        shl al, 1
        flags_of 0x801          ; carry out, sign changed, one bit set: odd parity
        std
        pushfd
        pop eax
        cld
        test eax, 0x400
        jz check_failed
        ret

check_strings:
        mov edi, BUFFER
        mov eax, 0x5a5a5a5a
        mov ecx, 64
        rep stosd
        mov byte [BUFFER + 200], 0
        mov edi, BUFFER
        xor al, al
        mov ecx, 256
        repne scasb
        expect edi, BUFFER + 201
        expect ecx, 55
        mov esi, BUFFER
        mov edi, BUFFER + 0x1001
        mov ecx, 256
        rep movsb
        mov esi, BUFFER
        mov edi, BUFFER + 0x1001
        mov ecx, 256
        repe cmpsb
        jne check_failed
        mov esi, BUFFER         ; overlapping forward copy spreads the first byte
        lea edi, [esi + 1]
        mov ecx, 255
        rep movsb
        expect byte [BUFFER + 255], 0x5a
        expect byte [BUFFER + 200], 0x5a
        ret

check_selfmod:                  ; the code about to run is changed, twice
        mov ecx, 2
.again: mov [.patch + 1], ecx
        jmp .patch
.patch: mov eax, 0x11223344
        expect eax, ecx
        loop .again
        ret

check_traps:
        mov dword [trap_resume], .a
        xor ecx, ecx
        mov eax, 1
        cdq
        div ecx                 ; #DE
        jmp check_failed
.a:     expect dword [trap_vector], 0
        mov dword [trap_resume], .b
        ud2                     ; #UD
        jmp check_failed
.b:     expect dword [trap_vector], 6
        mov dword [trap_resume], .c
        mov eax, 0x70
        mov gs, ax              ; #GP: past the GDT's limit, code = selector
        jmp check_failed
.c:     expect dword [trap_vector], 13
        expect dword [trap_code], 0x70
        mov dword [trap_resume], .d
        int3
        jmp check_failed
.d:     expect dword [trap_vector], 3
        mov dword [trap_resume], check_trapped
        ret

check_fpu:
        fninit
        fild dword [number_2]
        fsqrt
        fld st0
        fmulp st1, st0          ; sqrt(2) squared, rounded: just above 2 in 64-bit mantissa
        fild dword [number_2]
        fsubp st1, st0
        fabs
        fld qword [number_tiny]
        fcompp
        fnstsw ax
        test ah, 0x01           ; tiny < error ?
        jnz check_failed
        fldpi
        fstp qword [scratch]
        expect dword [scratch], 0x54442d18
        expect dword [scratch + 4], 0x400921fb
        fild dword [number_355]
        fild dword [number_113]
        fdivp st1, st0
        fstp tword [scratch]
        expect dword [scratch], 0x90fdbc09      ; 355/113 in 80 bits
        expect dword [scratch + 4], 0xc90fdbc0
        expect word [scratch + 8], 0x4000
        fld1
        fchs
        fsqrt                   ; invalid: default NaN, sticky IE
        fnstsw ax
        test al, 1
        jz check_failed
        fninit
        fnstcw [scratch]
        expect word [scratch], 0x37f
        ret

check_sse2:
        mov eax, cr0
        and eax, ~4             ; EM off
        or eax, 2               ; MP on
        mov cr0, eax
        mov eax, cr4
        or eax, 0x600           ; OSFXSR, OSXMMEXCPT
        mov cr4, eax
        movdqu xmm0, [vector_a]
        movdqu xmm1, [vector_b]
        paddd xmm0, xmm1
        pshufd xmm0, xmm0, 0x1b
        movdqu [scratch], xmm0
        expect dword [scratch], 0x00000003      ; 4 + 0xffffffff
        expect dword [scratch + 4], 0x80000002
        expect dword [scratch + 8], 0x00000012
        expect dword [scratch + 12], 0x00000006
        cvtsi2sd xmm2, dword [number_2]
        sqrtsd xmm2, xmm2
        movsd [scratch], xmm2
        expect dword [scratch], 0x667f3bcd      ; sqrt(2)
        expect dword [scratch + 4], 0x3ff6a09e
        mulsd xmm2, xmm2
        cvtsd2si eax, xmm2
        expect eax, 2
        movdqu xmm3, [vector_a]
        pcmpeqd xmm3, xmm3
        pmovmskb eax, xmm3
        expect eax, 0xffff
        ret

check_paging:
        mov edi, PAGETAB        ; identity for the first 4 MiB ...
        mov eax, 3
        mov ecx, 1024
.fill:  stosd
        add eax, 0x1000
        loop .fill
        mov edi, PAGEDIR
        xor eax, eax
        mov ecx, 1024
        rep stosd
        mov dword [PAGEDIR], PAGETAB + 3
        mov dword [PAGEDIR + 0x300 * 4], PAGETAB + 3    ; ... and again at 3 GiB
        mov eax, PAGEDIR
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp .on
.on:    mov dword [PAGE_A], 0x600d600d
        expect dword [0xc0000000 + PAGE_A], 0x600d600d
        test dword [PAGETAB + (PAGE_A >> 12) * 4], 0x40 ; dirty was set by the write
        jz check_failed
        mov dword [trap_resume], .read
        mov eax, [0x80000000 + PAGE_A]                  ; #PF: read, not present
        jmp check_failed
.read:  expect dword [trap_vector], 14
        expect dword [trap_code], 0
        expect dword [trap_cr2], 0x80000000 + PAGE_A
        mov eax, cr0
        or eax, 0x10000                                 ; WP
        mov cr0, eax
        and dword [PAGETAB + (PAGE_A >> 12) * 4], ~2
        invlpg [PAGE_A]
        invlpg [0xc0000000 + PAGE_A]
        mov dword [trap_resume], .write
        mov dword [PAGE_A + 4], 1                       ; #PF: write to a read-only page
        jmp check_failed
.write: expect dword [trap_vector], 14
        expect dword [trap_code], 3
        expect dword [trap_cr2], PAGE_A + 4
        mov eax, cr0
        and eax, 0x7ffeffff
        mov cr0, eax
        mov dword [trap_resume], check_trapped
        ret

check_timer:
        mov eax, [ticks]
        mov ecx, 200000000      ; an interrupt must come while we are busy ...
.busy:  cmp [ticks], eax
        jne .idle
        loop .busy
        jmp check_failed
.idle:  mov edx, 3              ; ... and wake us from HLT
.sleep: mov eax, [ticks]
        hlt
        cmp [ticks], eax
        je .sleep
        dec edx
        jnz .sleep
        ret

; ---------------------------------------------------------------- benchmark
; Each kernel does 1000 units of work per call; it is called until bench_ms milliseconds have passed. Millions per second =
; calls / milliseconds.
run_bench:
        say '  benchmark '
        mov ebx, bench_table
.next:  mov esi, [ebx]
        test esi, esi
        jz .done
        mov eax, [ebx + 8]
        test eax, eax
        jz .allowed
        test [features], eax
        jz .skip
.allowed:
        mov eax, [ticks]
.edge:  cmp [ticks], eax        ; start on a tick
        je .edge
        xor ebp, ebp
        mov edi, [ticks]
.run:   push ebx
        push edi
        call [ebx + 4]
        pop edi
        pop ebx
        inc ebp
        mov ecx, [ticks]
        sub ecx, edi
        cmp ecx, [bench_ms]
        jb .run
        mov eax, ebp
        mov edx, 10
        mul edx
        div ecx
        xor edx, edx
        mov ecx, 10
        div ecx
        push edx
        call put_dec
        say '.'
        pop eax
        call put_dec
        say ' '
        mov esi, [ebx]
        call puts
.skip:  add ebx, 12
        jmp .next
.done:  say 10
        ret

bench_loop:                     ; add, xor, rotate, branch
        mov ecx, 1000
        xor eax, eax
        mov edx, 0x12345
.l:     add eax, edx
        xor edx, ecx
        rol eax, 3
        dec ecx
        jnz .l
        ret

bench_call:
        mov ecx, 1000
.l:     call .leaf
        dec ecx
        jnz .l
        ret
.leaf:  inc eax
        ret

bench_memory:                   ; 1000 loads and stores of 4 bytes
        push esi
        mov esi, BUFFER
        mov edi, BUFFER + 0x10000
        mov ecx, 1000
.l:     mov eax, [esi]
        add esi, 4
        mov [edi], eax
        add edi, 4
        dec ecx
        jnz .l
        pop esi
        ret

bench_fpu:
        fld1
        fldz
        mov ecx, 1000
.l:     fadd st0, st1
        fmul st0, st1
        dec ecx
        jnz .l
        fstp st0
        fstp st0
        ret

; ---------------------------------------------------------------- prompt
prompt: say 'demo> '
        call read_line
        cmp dword [line_length], 0
        je prompt
        mov edi, last_line      ; for cursor-up
        mov esi, line
        mov ecx, 80
        rep movsb
        mov ebx, commands
.next:  mov esi, [ebx]
        test esi, esi
        jz .unknown
        mov edi, line
.same:  lodsb
        test al, al
        jz .word
        cmp al, [edi]
        jne .no
        inc edi
        jmp .same
.word:  mov al, [edi]           ; the word must end here
        test al, al
        jz .go
        cmp al, ' '
        je .go
.no:    add ebx, 8
        jmp .next
.go:    mov esi, edi            ; ESI = the arguments
.blank: cmp byte [esi], ' '
        jne .call
        inc esi
        jmp .blank
.call:  call [ebx + 4]
        jmp prompt
.unknown:
        mov edi, line           ; show the first word only
.cut:   mov al, [edi]
        test al, al
        jz .tell
        cmp al, ' '
        je .end
        inc edi
        jmp .cut
.end:   mov byte [edi], 0
.tell:  mov esi, line
        call puts
        say ': unknown command; help lists them', 10
        jmp prompt

getc:                           ; next byte in AL; sleeps with the timer off
        call timer_off
.look:  cli
        mov ebx, [rx_tail]
        cmp ebx, [rx_head]
        jne .have
        sti
        hlt
        jmp .look
.have:  mov al, [rx_ring + ebx]
        inc ebx
        and ebx, 255
        mov [rx_tail], ebx
        sti
        push eax
        call timer_on
        pop eax
        ret

read_line:                      ; into line, 0-terminated; length in line_length
        mov dword [line_length], 0
.next:  call getc
        mov edi, [line_length]
        cmp byte [after_cr], 0
        mov byte [after_cr], 0
        je .any
        cmp al, 10              ; LF of a CR LF pair
        je .next
.any:   cmp al, 13
        je .cr
        cmp al, 10
        je .finish
        cmp al, 8
        je .back
        cmp al, 127
        je .back
        cmp al, 3               ; C-c: new line
        je .cancel
        cmp al, 4               ; C-d on an empty line: power off
        je .eof
        cmp al, 21              ; C-u: erase the line
        je .erase
        cmp al, 27
        je .escape
        cmp al, 32
        jb .next
        cmp edi, 72
        jae .bell
        mov [line + edi], al
        inc dword [line_length]
        call putc
        jmp .next
.bell:  mov al, 7
        call putc
        jmp .next
.back:  test edi, edi
        jz .next
        call rub
        jmp .next
.erase: cmp dword [line_length], 0
        je .next
        call rub
        jmp .erase
.cancel:
        say '^C'
        mov edi, 0
        mov dword [line_length], 0
        jmp .finish
.eof:   test edi, edi
        jnz .next
        say 10
        jmp do_poweroff
.escape:                        ; ESC [ A recalls the last line; other sequences are swallowed
        call getc
        cmp al, '['
        jne .next
.params:
        call getc
        cmp al, '@'
        jb .params
        cmp al, 'A'
        jne .next
.clear: cmp dword [line_length], 0
        je .recall
        call rub
        jmp .clear
.recall:
        mov esi, last_line
        call puts
        mov edi, line
        ; copy it into the line
        mov esi, last_line
        xor ecx, ecx
.byte:  mov al, [esi + ecx]
        mov [edi + ecx], al
        test al, al
        jz .copied
        inc ecx
        jmp .byte
.copied:
        mov [line_length], ecx
        jmp .next
.cr:    mov byte [after_cr], 1
.finish:
        mov byte [line + edi], 0
        say 10
        ret

rub:    dec dword [line_length]
        say 8, ' ', 8
        ret

cmd_help:
        say '  help          this list', 10
        say '  echo TEXT     print TEXT', 10
        say '  cpuid         all CPUID leaves', 10
        say '  mem           memory map', 10
        say '  check         self-check', 10
        say '  bench         micro-benchmark, millions of operations a second', 10
        say '  date          the CMOS clock', 10
        say '  clear         clear the screen', 10
        say '  reboot        start again', 10
        say '  poweroff      leave (also C-d)', 10
        ret

cmd_echo:
        call puts
        say 10
        ret

cmd_cpuid:
        cmp byte [has_cpuid], 0
        jne .has
        say '  this CPU has no CPUID', 10
        ret
.has:   call show_cpu
        say '            eax      ebx      ecx      edx', 10
        xor edi, edi
        mov ebp, [max_leaf]
        call .range
        mov edi, 0x80000000
        mov ebp, [max_extended]
        cmp ebp, edi
        jb .end
        call .range
.end:   ret
.range: cmp ebp, edi
        jb .end
        mov eax, edi
        xor ecx, ecx
        cpuid
        push edx
        push ecx
        push ebx
        push eax
        say '  '
        mov eax, edi
        mov cl, 8
        call put_hex
        mov ch, 4
.reg:   say ' '
        mov cl, 8
        pop eax
        call put_hex
        dec ch
        jnz .reg
        say 10
        inc edi
        mov eax, edi            ; at most 32 leaves of each range
        and eax, 31
        jnz .range
        ret

cmd_bench:
        mov dword [bench_ms], 400
        jmp run_bench

cmd_date:
        mov ecx, 100000         ; MC146818: wait while an update is in progress
.wait:  mov al, 10
        out 0x70, al
        in al, 0x71
        test al, 0x80
        loopnz .wait
        say '  '
        mov esi, date_format
.field: lodsb
        test al, al
        jz .end
        js .register
        call putc
        jmp .field
.register:
        and al, 0x7f
        out 0x70, al
        in al, 0x71
        mov cl, 2
        movzx eax, al           ; BCD: hex digits are the decimal ones
        call put_hex
        jmp .field
.end:   say 10
        ret

cmd_clear:
        say 27, '[H', 27, '[2J'
        ret

; ---------------------------------------------------------------- the ways out
do_reboot:
        say '  rebooting', 10
        cli
        mov ecx, 10000
.kbc:   in al, 0x64
        test al, 2
        loopnz .kbc
        mov al, 0xfe            ; 8042: pulse the reset line
        out 0x64, al
        mov dx, 0xcf9           ; PIIX3 reset control
        mov al, 6
        out dx, al
        lidt [null_pointer]     ; triple fault
        int3

do_poweroff:
        say '  power off', 10
.drain: mov dx, COM1 + 5
        in al, dx
        test al, 0x40           ; transmitter empty: the last byte has left
        jz .drain
        cli
        mov dx, 0x604           ; ACPI PM1a_CNT of i440fx and q35: SLP_TYP 0, SLP_EN
        mov ax, 0x2000
        out dx, ax
        mov dx, 0xb004
        out dx, ax
        mov dx, 0x501           ; isa-debug-exit
        xor eax, eax
        out dx, al
        mov dx, 0xf4
        out dx, al
        call timer_on             ; the machine may take a moment to stop
        sti
        mov ecx, 500
.moment:
        hlt
        loop .moment
        cli
        say '  (this machine has no power switch; the CPU halts)', 10
.halt:  hlt
        jmp .halt

; CF = 1 when the command line has the word "once"
command_line_once:
        cmp dword [boot_magic], 0x2badb002
        jne .no
        mov ebx, [boot_info]
        test dword [ebx], 4
        jz .no
        mov esi, [ebx + 16]
        mov ecx, 4096
.at:    mov eax, [esi]
        test al, al
        jz .no
        cmp eax, 'once'
        je .yes
        inc esi
        loop .at
.no:    clc
        ret
.yes:   stc
        ret

; ---------------------------------------------------------------- data
        align 8
gdt:    dq 0
        dq 0x00cf9a000000ffff
        dq 0x00cf92000000ffff
gdt_pointer:
        dw gdt_pointer - gdt - 1
        dd gdt
idt_pointer:
        dw 48 * 8 - 1
        dd idt
null_pointer:
        dw 0
        dd 0

        align 4
vectors:
%assign v 0
%rep 32
        dd trap_ %+ v
%assign v v + 1
%endrep
        dd irq_timer
        times 3 dd irq_other
        dd irq_serial
        times 11 dd irq_other

check_table:                    ; name, routine, CPUID.1:EDX bits it needs
        dd name_arithmetic, check_arithmetic, 0
        dd name_flags, check_flags, 0
        dd name_strings, check_strings, 0
        dd name_selfmod, check_selfmod, 0
        dd name_traps, check_traps, 0
        dd name_fpu, check_fpu, 1 << 0
        dd name_sse2, check_sse2, 1 << 26
        dd name_paging, check_paging, 0
        dd name_timer, check_timer, 0
        dd 0
name_arithmetic: db 'arithmetic', 0
name_flags:      db 'flags', 0
name_strings:    db 'strings', 0
name_selfmod:    db 'self-modifying', 0
name_traps:      db 'exceptions', 0
name_fpu:        db 'fpu', 0
name_sse2:       db 'sse2', 0
name_paging:     db 'paging', 0
name_timer:      db 'timer', 0

        align 4
bench_table:                    ; unit, routine, feature needed
        dd unit_loop, bench_loop, 0
        dd unit_call, bench_call, 0
        dd unit_memory, bench_memory, 0
        dd unit_fpu, bench_fpu, 1 << 0
        dd 0
unit_loop:   db 'M loops/s, ', 0
unit_call:   db 'M calls/s, ', 0
unit_memory: db 'M copies/s, ', 0
unit_fpu:    db 'M fpu/s', 0

        align 4
commands:
        dd word_help, cmd_help
        dd word_mark, cmd_help
        dd word_echo, cmd_echo
        dd word_cpuid, cmd_cpuid
        dd word_mem, show_memory
        dd word_check, run_checks
        dd word_bench, cmd_bench
        dd word_date, cmd_date
        dd word_clear, cmd_clear
        dd word_reboot, do_reboot
        dd word_poweroff, do_poweroff
        dd word_exit, do_poweroff
        dd word_quit, do_poweroff
        dd 0
word_help:     db 'help', 0
word_mark:     db '?', 0
word_echo:     db 'echo', 0
word_cpuid:    db 'cpuid', 0
word_mem:      db 'mem', 0
word_check:    db 'check', 0
word_bench:    db 'bench', 0
word_date:     db 'date', 0
word_clear:    db 'clear', 0
word_reboot:   db 'reboot', 0
word_poweroff: db 'poweroff', 0
word_exit:     db 'exit', 0
word_quit:     db 'quit', 0

feature_names:                  ; CPUID.1:EDX bits 0-26; empty = reserved or of no interest
        db 'fpu', 0, 'vme', 0, 'de', 0, 'pse', 0, 'tsc', 0, 'msr', 0, 'pae', 0, 'mce', 0, 'cx8', 0, 'apic', 0, 0
        db 'sep', 0, 'mtrr', 0, 'pge', 0, 'mca', 0, 'cmov', 0, 'pat', 0, 'pse36', 0, 0, 'clflush', 0, 0, 0, 0
        db 'mmx', 0, 'fxsr', 0, 'sse', 0, 'sse2', 0
hex_digits:     db '0123456789abcdef'
date_format:    db 0x80 | 0x32, 0x80 | 9, '-', 0x80 | 8, '-', 0x80 | 7, ' ', 0x80 | 4, ':', 0x80 | 2, ':', 0x80, ' (CMOS)', 0

        align 16
vector_a:       dd 1, 2, 0x80000000, 4
vector_b:       dd 5, 0x10, 2, 0xffffffff
number_2:       dd 2
number_355:     dd 355
number_113:     dd 113
number_tiny:    dq 0x3c00000000000000   ; 2^-63
data_end:

; ---------------------------------------------------------------- zeroed by the loader
        absolute data_end
        alignb 16
scratch:        resb 16
idt:            resq 48
boot_magic:     resd 1
boot_info:      resd 1
features:       resd 1
features_ecx:   resd 1
signature:      resd 1
max_leaf:       resd 1
max_extended:   resd 1
vendor:         resb 16
brand:          resb 64
ticks:          resd 1
bench_ms:       resd 1
checks_run:     resd 1
checks_bad:     resd 1
check_stack:    resd 1
trap_resume:    resd 1
trap_vector:    resd 1
trap_code:      resd 1
trap_cr2:       resd 1
rx_head:        resd 1
rx_tail:        resd 1
line_length:    resd 1
has_cpuid:      resb 1
after_cr:       resb 1
rx_ring:        resb 256
line:           resb 96
last_line:      resb 96
        alignb 16
                resb 8192
stack_top:
bss_end:
