//! The kernel itself: tables, memory, time, tasks.
#![no_std]
#![no_main]

extern crate alloc;

mod bus;
mod clock;
mod memory;
mod tasks;

use self::{bus::*, clock::*, memory::*, tasks::*};

kernel::tests! {
    machines: [
        "smp=1",
        "smp=4 machine=pc",
        "smp=8 mem=32M",
        "args=-cpu,,max,-nx fails=this_CPU_has_no_no-execute_pages_(NX)",
        "args=-cpu,,max,-lm fails=this_CPU_has_no_long_mode_(LM)",
        "args=-cpu,,max,-apic fails=this_CPU_has_no_local_APIC",
        "smp=2 args=-cpu,,qemu64 append=only=clock append=only=pci append=only=registers",
        "smp=1 args=-machine,,pit=off append=only=clock",
        "smp=1 args=-machine,,pit=off,hpet=off append=only=clock",
    ],
    tests: [
        no_page_is_writable_and_executable,
        guard_pages_are_not_mapped,
        frames_come_back,
    heap_is_shared_with_devices_under_a_lock,
        large_frames_are_contiguous_and_zeroed,
        heap_gives_back_what_it_takes,
        what_is_printed_may_allocate,
        acpi_lists_this_cpu,
        acpi_refuses_a_bad_checksum,
        acpi_refuses_a_short_table,
        acpi_refuses_an_entry_without_length,
        pci_ways_agree,
        registers_are_where_nothing_else_is,
        registers_are_mapped_page_by_page,
        acpi_finds_the_power_button,
        acpi_finds_the_timers,
        clock_goes_forward,
        clock_keeps_step_with_the_calendar,
        clock_goes_by_what_most_references_say,
        clock_goes_by_the_only_counter_when_it_says_so_twice,
        clock_tells_how_far_references_are_apart,
        sleepers_wake_in_order,
        timeout_drops_what_is_late,
        dropped_sleeps_leave_room,
        idle_cpus_do_what_costs_less,
        interrupt_wakes_block_on,
        unexpected_vector_is_counted,
        tasks_run_and_return,
        one_task_too_many_is_refused,
        cancelled_task_makes_room,
        lock_masks_interrupts,
        own_lock_masks_interrupts,
        vectors_are_given_out_once,
    ],
}
