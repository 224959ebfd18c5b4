;; The smallest plugin without a compiler: it needs the column `ind`, and has the host pass it on. This is its core module; the tests
;; make a component of it and of the contract in wit/. Its answers never change, so they lie ready in memory, in the layout of the
;; canonical ABI. Authors write plugins with an SDK; this one serves examples and tests.
(module
  (memory (export "memory") 2)
  ;; more items
  ;; Texts.
  (data (i32.const 1024) "pass-on1.0.0Passes the column `ind` onindInt64out")
  ;; A `description`: encoding 1, `columns`; no configuration.
  (data (i32.const 1104) "\00\04\00\00\07\00\00\00\07\04\00\00\05\00\00\00\0c\04\00\00\1a\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  ;; A `field`: `ind`, `Int64`, nullable.
  (data (i32.const 1152) "&\04\00\00\03\00\00\00)\04\00\00\05\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
  ;; A `crossing`: 0, `nothing`.
  (data (i32.const 1184) "\00\00\00\00\00\00\00\00\00\00\00\00")
  ;; What `prepare` returns: ok, `needs` of that field and that crossing.
  (data (i32.const 1200) "\00\00\00\00\01\00\00\00\80\04\00\00\01\00\00\00\a0\04\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  ;; A `column-source`: 1, `input`, of column 0.
  (data (i32.const 1248) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  ;; A `port`: `out`, of that field from that source.
  (data (i32.const 1264) ".\04\00\00\03\00\00\00\01\00\00\00\80\04\00\00\01\00\00\00\e0\04\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
  ;; What `open` returns: ok, `opened-transform` with that port.
  (data (i32.const 1304) "\00\00\00\00\f0\04\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
  ;; An `output`: by port 0, no table, no origins.
  (data (i32.const 1360) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  ;; What `process` returns: ok, `answer` with that output and no rejects.
  (data (i32.const 1424) "\00\00\00\00P\05\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  ;; Arguments are never read, so all of them may lie in the same place.
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $end i32)
    ;; in realloc
    (local.set $end (i32.add (i32.const 65536) (local.get 3)))
    (if (i32.gt_u (local.get $end) (i32.shl (memory.size) (i32.const 16)))
      (then (drop (memory.grow (i32.shr_u (i32.add (local.get 3) (i32.const 65535)) (i32.const 16))))))
    (i32.const 65536))
  (func (export "wasmill:plugin/about@0.2.0#describe") (result i32)
    ;; in describe
    (i32.const 1104))
  (func (export "wasmill:plugin/transform@0.2.0#prepare") (param i32 i32 i32 i32) (result i32)
    ;; in prepare
    (i32.const 1200))
  (func (export "wasmill:plugin/transform@0.2.0#open") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
    ;; in open
    (i32.const 1304))
  (func $process (export "wasmill:plugin/transform@0.2.0#process") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    ;; in process
    (i32.const 1424)))
