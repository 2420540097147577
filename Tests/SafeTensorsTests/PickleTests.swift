import SafeTensors
import Support
import TestSupport
import Testing

/// Pickles made by hand: what a hostile one can try.
@Suite struct PickleTests {
    private func root(_ build: (inout Pickle) -> Void) throws -> PickleValue {
        try PyTorchCheckpoint(bytes: Zip(pickle: Pickle(build)).bytes).root
    }

    private func code(_ build: (inout Pickle) -> Void) -> SafeTensorsFailure? {
        SafeTensorsTests.code { _ = try root(build) }
    }

    @Test("What a pickle asks to be called stays an object that nobody ran")
    func inert() throws {
        let value = try root { pickle in
            pickle.global("os", "system")
            pickle.text("rm -rf /")
            pickle.op(0x85)
            pickle.op("R}")
            pickle.text("a")
            pickle.op("K\u{1}sb(K\u{2}e")
            pickle.text("k")
            pickle.op("K\u{3}s")
        }
        let object = try #require(value.object)
        #expect(object.name == "os.system")
        #expect(object.arguments.first?.string == "rm -rf /")
        #expect(object.state["a"]?.int == 1)
        #expect(object.items.map(\.int) == [2])
        #expect(object.entries["k"]?.int == 3)
        #expect(value.summary == "an object of os.system")
        // As of a class that is a list or a dictionary besides.
        #expect(value["k"]?.int == 3)
        #expect(value[0]?.int == 2)
    }

    @Test("Containers made by calls are containers")
    func containers() throws {
        func called(_ module: String, _ name: String, _ arguments: String) throws -> PickleValue {
            try root { pickle in
                pickle.global(module, name)
                pickle.op("(\(arguments)tR")
            }
        }
        let pair = "](K\u{1}K\u{2}ta"
        #expect(try called("collections", "OrderedDict", pair).dictionary?.value(forNumber: 1)?.int == 2)
        #expect(try called("collections", "OrderedDict", "](K\u{1}K\u{2}la").dictionary?.count == 1)
        #expect(try called("builtins", "dict", "").dictionary?.count == 0)
        #expect(try called("builtins", "dict", pair + "N").object != nil)
        #expect(try called("collections", "defaultdict", "N" + pair).dictionary?.count == 1)
        #expect(try called("__builtin__", "set", "](K\u{1}K\u{2}e").list?.count == 2)
        #expect(try called("collections", "OrderedDict", "K\u{1}").object?.name == "collections.OrderedDict")
        #expect(try root { $0.op("(K\u{1}N(N1N200d") }.dictionary?.count == 1)
    }

    @Test("Nesting as deep as the file allows does no harm, nor do lists that hold themselves")
    func depth() throws {
        let deep = try root {
            $0.bytes += [UInt8](repeating: 0x5d, count: 300_000) + [UInt8](repeating: 0x61, count: 299_999)
        }
        #expect(deep.list?.count == 1)
        let tuples = try root { $0.bytes += [0x29] + [UInt8](repeating: 0x85, count: 300_000) }
        #expect(tuples[0]?[0]?.list?.count == 1)
        let circle = try root { $0.op("]q\u{0}h\u{0}a") }
        #expect(circle[0]?[0]?[0]?.list?.count == 1)
        let reduced = try root { pickle in
            pickle.global("a", "b")
            pickle.op("q\u{0})R")
            for _ in 0..<100_000 { pickle.op(0x85, [0x71, 1, 0x68, 0, 0x68, 1, 0x52]) }
        }
        #expect(reduced.object?.name == "a.b")
        let tensors = failure {
            _ = try root { pickle in
                pickle.global("torch._tensor", "_rebuild_from_type_v2")
                pickle.op("q\u{0})")
                for _ in 0..<100_000 {
                    // The function itself as what makes the tensor, with the arguments so far.
                    pickle.op("q\u{1}0(h\u{0}Nh\u{1}Nt")
                }
                pickle.op("q\u{1}0h\u{0}h\u{1}R")
            }
        }
        #expect(tensors == nil)
    }

    @Test("OmegaConf's containers show what they hold, also when they hold each other")
    func omegaConf() throws {
        let value = try root { pickle in
            pickle.global("omegaconf.dictconfig", "DictConfig")
            pickle.op(")")
            pickle.op(0x81, [0x71, 0])
            pickle.op("}(")
            pickle.text("_parent")
            pickle.op("h\u{0}")
            pickle.text("_content")
            pickle.op("}")
            pickle.text("x")
            pickle.global("omegaconf.nodes", "AnyNode")
            pickle.op(")")
            pickle.op(0x81)
            pickle.op("}")
            pickle.text("_val")
            pickle.op("K\u{5}sbs")
            pickle.text("self")
            pickle.op("h\u{0}s")
            pickle.op("ub")
        }
        #expect(value["x"]?.int == 5)
        #expect(value["self"]?["self"]?["x"]?.int == 5)
        let loop = try root { pickle in
            pickle.global("omegaconf.nodes", "AnyNode")
            pickle.op(")")
            pickle.op(0x81, [0x71, 0])
            pickle.op("}")
            pickle.text("_val")
            pickle.op("h\u{0}sb")
        }
        #expect(loop.object?.name == "omegaconf.nodes.AnyNode")
    }

    @Test("Each broken promise of a pickle is an error of its kind")
    func damage() {
        let broken: [(String, SafeTensorsFailure, (inout Pickle) -> Void)] = [
            ("nothing", .damaged, { _ in }),
            ("a value below the mark", .damaged, { $0.op("]N(a") }),
            ("append to nothing", .damaged, { $0.op("N(Na") }),
            ("append to a number", .damaged, { $0.op("K\u{1}Na") }),
            (
                "append to a text", .damaged,
                {
                    $0.text("a")
                    $0.op("Na")
                }
            ),
            ("store in a list", .damaged, { $0.op("]NNs") }),
            ("a key without value", .damaged, { $0.op("}(Nu") }),
            ("no mark", .damaged, { $0.op("NNt") }),
            ("a memo that is not there", .damaged, { $0.op("h\u{7}") }),
            ("a call of nothing", .damaged, { $0.op("R") }),
            ("a persistent number", .unsupported, { $0.op("K\u{1}Q") }),
            (
                "a class without name", .damaged,
                {
                    $0.op("NN\u{0}"); $0.bytes[$0.bytes.count - 1] = 0x93
                }
            ),
            ("a line without end", .truncated, { $0.op("cos") }),
            ("a text that leads outside", .truncated, { $0.op(0x58, [255, 255, 255, 255]) }),
            ("a text of 2^63 bytes", .truncated, { $0.op(0x8d, [0, 0, 0, 0, 0, 0, 0, 0x80]) }),
            ("a frame that leads outside", .truncated, { $0.op(0x95, [255, 0, 0, 0, 0, 0, 0, 0]) }),
            ("an integer of 2^32 bytes", .truncated, { $0.op(0x8b, [255, 255, 255, 255]) }),
            ("protocol 6", .unsupported, { $0.op(0x80, [6]) }),
            ("a number as text", .unsupported, { $0.op("I1\n") }),
            ("an extension", .unsupported, { $0.op(0x82, [1]) }),
            ("an unknown opcode", .damaged, { $0.op(0xff) }),
            (
                "a tensor without storage", .damaged,
                {
                    $0.global("torch._utils", "_rebuild_tensor_v2")
                    $0.op("(NK\u{0}))tR")
                }
            ),
            (
                "a tensor with a shape of texts", .damaged,
                {
                    $0.global("torch._utils", "_rebuild_tensor_v2")
                    $0.op("(")
                    $0.storage("0", 1)
                    $0.op("K\u{0}(")
                    $0.text("a")
                    $0.op("t)tR")
                }
            ),
        ]
        for (what, expected, build) in broken {
            let found = code(build)
            #expect(found == expected, "\(what): \(found.map { "\($0)" } ?? "no error")")
        }
        #expect(failure { _ = try root { $0.op("I1\n") } }?.message.contains("INT") == true)
        #expect(failure { _ = try root { $0.op("NI") } }?.place == "archive/data.pkl, byte 3")
    }

    @Test("A pickle that asks for ever more copies of one list is stopped")
    func copies() {
        let found = code { pickle in
            pickle.op("](")
            for _ in 0..<100_000 { pickle.op("N") }
            pickle.op("eq\u{0}")
            pickle.global("builtins", "set")
            pickle.op("q\u{1}")
            for _ in 0..<100_000 { pickle.op("0h\u{1}h\u{0}\u{0}R"); pickle.bytes[pickle.bytes.count - 2] = 0x85 }
        }
        #expect(found == .limit)
    }

    @Test("Integers of all widths keep their value")
    func integers() throws {
        func long(_ bytes: [UInt8]) throws -> Int? { try root { $0.op(0x8a, [UInt8(bytes.count)] + bytes) }.int }
        #expect(try long([]) == 0)
        #expect(try long([0xff]) == -1)
        #expect(try long([0xff, 0x00]) == 255)
        #expect(try long([0x00, 0x80]) == -32768)
        #expect(try long([0, 0, 0, 0, 0, 0, 0, 0x80]) == .min)
        #expect(
            try root {
                $0.op("J\u{0}\u{0}\u{0}\u{0}"); $0.bytes.replaceSubrange(3..<7, with: [0xfe, 0xff, 0xff, 0xff])
            }.int == -2)
        #expect(try root { $0.op(0x8b, [1, 0, 0, 0, 0x7f]) }.int == 127)
    }
}
