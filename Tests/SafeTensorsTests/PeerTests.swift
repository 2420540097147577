import Foundation
import SafeTensors
import Support
import TestSupport
import Testing

/// The same files, read and written by Python's `safetensors`, and pickles by Python's own.
@Suite struct PeerTests {
    /// A tensor as Python sees it.
    private struct Foreign: Codable, Hashable {
        var name: String, dtype: String, shape: [Int], data: String
    }

    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func tensors(of file: SafeTensorsFile) throws -> [Foreign] {
        try file.entries.map {
            Foreign(name: $0.name, dtype: $0.type.rawValue, shape: $0.shape, data: hex(try file.bytes($0.name)))
        }
    }

    /// Tensors of every type with random bits, empty ones and single numbers among them.
    private static func random(_ seed: UInt64) -> [(entry: TensorEntry, bytes: [UInt8])] {
        var random = Seeded(seed)
        return TensorType.allCases.flatMap { type in
            [[], [0], [2, 0], [1], [3, 5], [2, 1, 4]].compactMap { shape in
                let name = "\(shape.count).\(type) ü\(shape)"
                guard let entry = TensorEntry(name: name, type: type, shape: shape) else { return nil }
                let most: UInt8 = type == .bool ? 1 : 255
                return (entry, (0..<entry.byteCount).map { _ in UInt8.random(in: 0...most, using: &random) })
            }
        }
    }

    @Test(
        "What Swift writes, Python reads bit for bit, and would have written the same file",
        .enabled(if: Python.hasSafetensors))
    func written() throws {
        let path = folder.file("swift.safetensors"), made = Self.random(3)
        try SafeTensorsWriter.write(
            path: path,
            tensors: made.map {
                try OutgoingTensor($0.entry.name, type: $0.entry.type, shape: $0.entry.shape, bytes: $0.bytes)
            },
            metadata: ["key": "value \"é\"\\\n\u{1}"])
        let found = try Python.run(
            """
            import json, sys, numpy, safetensors
            data = open(sys.argv[1], "rb").read()
            found = safetensors.deserialize(data)
            with safetensors.safe_open(sys.argv[1], "np") as file: metadata = file.metadata()
            names = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
                     "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool"}
            kept = {name: numpy.frombuffer(bytes(t["data"]), "u1") for name, t in found}
            again = safetensors.serialize(
                {name: safetensors.TensorSpec(dtype=names[t["dtype"]], shape=t["shape"], data_ptr=kept[name].ctypes.data,
                                              data_len=len(t["data"])) for name, t in reversed(found)}, metadata)
            assert again == data, "Python writes another file"
            assert metadata == {"key": 'value "é"\\\\\\n\\x01'}, metadata
            print(json.dumps([{"name": name, "dtype": t["dtype"], "shape": t["shape"], "data": bytes(t["data"]).hex()}
                              for name, t in found]))
            """, [path])
        let foreign = try JSONDecoder().decode([Foreign].self, from: found)
        #expect(foreign.count == made.count)
        let own = made.map {
            Foreign(name: $0.entry.name, dtype: $0.entry.type.rawValue, shape: $0.entry.shape, data: Self.hex($0.bytes))
        }
        #expect(Set(foreign) == Set(own))
    }

    @Test("What Python writes, Swift reads bit for bit", .enabled(if: Python.hasSafetensors))
    func read() throws {
        let path = folder.file("python.safetensors")
        let found = try Python.run(
            """
            import json, random, sys, numpy, safetensors
            random.seed(4)
            sizes = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
                     "uint8": 1, "bool": 1}
            tensors = {}
            for dtype, size in sizes.items():
                for shape in [[], [0], [3, 0], [7], [2, 3, 4]]:
                    count = size
                    for length in shape: count *= length
                    data = bytes(random.randrange(2 if dtype == "bool" else 256) for _ in range(count))
                    tensors[f"{dtype}/é\\t{shape}"] = {"dtype": dtype, "shape": shape, "data": numpy.frombuffer(data, "u1")}
            specs = {name: safetensors.TensorSpec(dtype=t["dtype"], shape=t["shape"], data_ptr=t["data"].ctypes.data,
                                                  data_len=len(t["data"])) for name, t in tensors.items()}
            safetensors.serialize_file(specs, sys.argv[1], {"a": "1", "b": '{"c": []}', "é": ""})
            short = {"float": "F", "bfloat": "BF", "int": "I", "uint": "U", "bool": "BOOL"}
            def name(dtype): return short[dtype.rstrip("0123456789")] + dtype.lstrip("abcdefghijklmnopqrstuvwxyz")
            print(json.dumps([{"name": n, "dtype": name(t["dtype"]), "shape": t["shape"], "data": t["data"].tobytes().hex()}
                              for n, t in tensors.items()]))
            """, [path])
        let file = try SafeTensorsFile(path: path)
        #expect(file.metadata == ["a": "1", "b": "{\"c\": []}", "é": ""])
        #expect(try Set(Self.tensors(of: file)) == Set(JSONDecoder().decode([Foreign].self, from: found)))
    }

    @Test(
        "Files of the original models are what Python reads",
        .enabled(if: Python.hasSafetensors && !Golden.files(".safetensors").isEmpty))
    func golden() throws {
        let found = try Python.run(
            """
            import json, sys, safetensors.numpy
            found = []
            for path in sys.argv[1:]:
                arrays = safetensors.numpy.load_file(path)
                found.append([{"name": n, "dtype": a.dtype.str[1:].upper(), "shape": list(a.shape), "data": a.tobytes().hex()}
                              for n, a in arrays.items()])
            print(json.dumps(found))
            """, Golden.files(".safetensors"))
        let foreign = try JSONDecoder().decode([[Foreign]].self, from: found)
        for (path, wanted) in zip(Golden.files(".safetensors"), foreign) {
            // NumPy's names: the number of bytes, not bits.
            let own = try Self.tensors(of: SafeTensorsFile(path: path)).map { tensor in
                var tensor = tensor
                tensor.dtype = "\(tensor.dtype.prefix(1))\((Int(tensor.dtype.dropFirst()) ?? 0) / 8)"
                return tensor
            }
            #expect(Set(own) == Set(wanted), "\(path)")
        }
    }

    @Test("Values that Python pickles with any protocol from 2 on come out the same", .enabled(if: Python.isThere))
    func pickles() throws {
        let found = try Python.run(
            """
            import collections, json, pickle, random, struct, sys, zipfile
            random.seed(5)
            def value(depth, protocol):
                kind = random.randrange(10 if depth > 3 else 16)
                if kind == 0: return None
                if kind == 1: return random.random() < 0.5
                if kind == 2: return random.randrange(-2 ** random.randrange(1, 64), 2 ** random.randrange(1, 64))
                if kind == 3: return random.randrange(2 ** 64, 2 ** 200) * random.choice([-1, 1])
                if kind == 4: return struct.unpack("<d", random.randbytes(8))[0]
                if kind in (5, 6): return "".join(random.choice("abcé中😀\\0\\n") for _ in range(random.choice([0, 3, 300])))
                if kind == 7: return random.randbytes(random.choice([0, 3, 300])) if protocol > 2 else "b"
                if kind == 8: return bytearray(random.randbytes(5)) if protocol > 4 else 1
                if kind == 9: return {random.randrange(1000) for _ in range(random.randrange(4))}
                if kind == 10: return frozenset(random.randrange(1000) for _ in range(random.randrange(4)))
                count = random.choice([0, 1, 2, 3, 4, 9])
                if kind in (11, 12): return [value(depth + 1, protocol) for _ in range(count)]
                if kind == 13: return tuple(value(depth + 1, protocol) for _ in range(count))
                made = {random.choice([i, f"k{i}"]): value(depth + 1, protocol) for i in range(count)}
                return made if kind == 14 else collections.OrderedDict(made)
            def text(v):
                if v is None: return "N"
                if v is True: return "T"
                if v is False: return "F"
                if isinstance(v, int):
                    if -2 ** 63 <= v < 2 ** 63: return f"i{v}"
                    return "l" + pickle.encode_long(v).hex()
                if isinstance(v, float): return "d%016x" % struct.unpack("<Q", struct.pack("<d", v))[0]
                if isinstance(v, str): return "s" + v.encode().hex()
                if isinstance(v, (bytes, bytearray)): return "b" + bytes(v).hex()
                if isinstance(v, (set, frozenset)): return "{" + ",".join(sorted(map(text, v))) + "}"
                if isinstance(v, list): return "[" + ",".join(map(text, v)) + "]"
                if isinstance(v, tuple): return "(" + ",".join(map(text, v)) + ")"
                return "<" + ",".join(text(k) + ":" + text(w) for k, w in v.items()) + ">"
            texts = []
            for number in range(400):
                protocol = 2 + number % 4
                shared = value(2, protocol)
                whole = [shared, value(0, protocol), value(0, protocol), shared]
                with zipfile.ZipFile(f"{sys.argv[1]}/{number}", "w", zipfile.ZIP_STORED) as archive:
                    archive.writestr("archive/data.pkl", pickle.dumps(whole, protocol))
                texts.append(text(whole))
            print(json.dumps(texts))
            """, [folder.path])
        let texts = try JSONDecoder().decode([String].self, from: found)
        #expect(texts.count == 400)
        for (number, wanted) in texts.enumerated() {
            #expect(Self.text(try PyTorchCheckpoint(path: folder.file("\(number)")).root) == wanted, "number \(number)")
        }
    }

    private static func text(_ value: PickleValue) -> String {
        func joined(_ items: PickleList) -> String { items.map(text).joined(separator: ",") }
        return switch value {
        case .none: "N"
        case .bool(let value): value ? "T" : "F"
        case .integer(let value): "i\(value)"
        case .longInteger(let digits): "l" + hex(digits)
        case .double(let value):
            "d" + hex(withUnsafeBytes(of: value.bitPattern.bigEndian) { Array($0) })
        case .string(let text): "s" + hex(Array(text.utf8))
        case .bytes(let bytes): "b" + hex(bytes)
        case .set(let items): "{" + items.map(text).sorted().joined(separator: ",") + "}"
        case .list(let items): "[" + joined(items) + "]"
        case .tuple(let items): "(" + joined(items) + ")"
        case .dictionary(let entries):
            "<" + entries.map { "\(text($0.key)):\(text($0.value))" }.joined(separator: ",") + ">"
        case .object(let object) where object.name.hasSuffix("bytearray"): "b?"
        default: value.summary
        }
    }
}
