package main

// #cgo pkg-config: flashstrike_wal
// #include <flashstrike_wal.h>
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"math"
	"unsafe"
)

// Event is 64 bytes, laid out as C has it: slices of it are passed without a copy.
type Event = C.fs_request_event

// NewEvent makes a request. Its id must rise; the other fields are up to you.
func NewEvent(id uint64, price, quantity int64) Event {
	return Event{event_id: C.uint64_t(id), price: C.int64_t(price), quantity: C.int64_t(quantity)}
}

// Error is a failed call: its status, and the library's words.
type Error struct {
	Status int32
	Words  string
}

func (e *Error) Error() string { return e.Words }

// check makes an error of a status. On the thread that made the call, right after it.
func check(status C.fs_wal_status, call string) error {
	if status == C.FS_WAL_OK {
		return nil
	}
	return &Error{int32(status), fmt.Sprintf("%s: %s: %s", call,
		C.GoString(C.fs_wal_status_string(status)), C.GoString(C.fs_wal_last_error()))}
}

// Log is a log that is open for writing, by one goroutine, which is locked to its thread.
type Log struct{ wal *C.fs_wal }

// Open opens the log in a directory, and recovers it.
func Open(dir string) (*Log, error) {
	path := C.CString(dir)
	defer C.free(unsafe.Pointer(path))
	log := new(Log)
	if err := check(C.fs_wal_open(path, nil, &log.wal), "open"); err != nil {
		return nil, err
	}
	return log, nil
}

// LastID is the id of the newest event.
func (log *Log) LastID() (uint64, error) {
	var last C.fs_wal_meta_state
	err := check(C.fs_wal_meta(log.wal, &last), "meta")
	return uint64(last.last_event_id), err
}

// Append records events. After nil they survive the death of the process.
func (log *Log) Append(events []Event) error {
	if len(events) == 0 {
		return nil
	}
	var appended C.size_t
	return check(C.fs_wal_append_batch(log.wal, &events[0], C.size_t(len(events)), &appended),
		"append_batch")
}

// WaitDurable waits until an event survives a power cut, too.
func (log *Log) WaitDurable(id uint64) error {
	return check(C.fs_wal_wait_durable(log.wal, C.uint64_t(id), math.MaxUint64), "wait_durable")
}

// Shutdown makes everything durable and closes the log.
func (log *Log) Shutdown() error {
	return check(C.fs_wal_shutdown(log.wal), "shutdown")
}

// Replay gives every event of a log to act, which must not keep the pointer: the events lie in the
// reader's memory.
func Replay(dir string, act func(*Event)) error {
	path := C.CString(dir)
	defer C.free(unsafe.Pointer(path))
	var reader *C.fs_wal_reader
	if err := check(C.fs_wal_reader_open(path, nil, &reader), "reader_open"); err != nil {
		return err
	}
	defer C.fs_wal_reader_close(reader)
	// If retention has deleted the beginning, the first batch is FS_WAL_ERR_GAP.
	if err := check(C.fs_wal_reader_seek(reader, 1), "reader_seek"); err != nil {
		return err
	}
	for {
		var first *Event
		var count C.size_t
		status := C.fs_wal_reader_next_batch(reader, &first, &count)
		if status == C.FS_WAL_END {
			return nil
		}
		if err := check(status, "reader_next_batch"); err != nil {
			return err
		}
		events := unsafe.Slice(first, int(count))
		for i := range events {
			act(&events[i])
		}
	}
}
