import Foundation
import SafeTensors
import Support
import TestSupport
import Testing

@Suite struct FileTests {
    private static let two =
        #"{"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}"#

    @Test("A file gives names in the order of data, shapes, types, metadata and bytes")
    func reading() throws {
        let json =
            #"{"__metadata__":{"made":"by \"hand\" \u00e9\ud83d\ude00\n"},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"#
            + #" "empty":{"shape":[0,7],"dtype":"F16","data_offsets":[8,8],"more":[{"x":null},-1.5e3,true,"",[]]},"#
            + #""a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}   "#
        let data = littleEndian(Int64(-3)) + littleEndian(Float(1.5).bitPattern) + littleEndian(Float(-2).bitPattern)
        let file = try SafeTensorsFile(bytes: tensorFile(json, data))
        #expect(file.names == ["a", "empty", "b"])
        #expect(file.metadata == ["made": "by \"hand\" é😀\n"])
        #expect(try file.entry("a") == TensorEntry(name: "a", type: .i64, shape: []))
        #expect(try file.entry("empty").shape == [0, 7])
        #expect(try file.floats("b") == [1.5, -2])
        #expect(try file.int64s("a") == [-3])
        #expect(try file.floats("empty") == [])
        #expect(try file.bytes("b") == Array(data.suffix(8)))
        #expect(try file.withBytes(of: "b") { $0.count } == 8)
        #expect(code { _ = try file.entry("c") } == .missing)
    }

    @Test("A file on disk is read as one in memory, and what a body throws comes through")
    func onDisk() throws {
        struct Mine: Error {}
        let folder = try TemporaryDirectory(), path = folder.file("x.safetensors")
        try Data(tensorFile(Self.two, [UInt8](0..<16))).write(to: URL(fileURLWithPath: path))
        let file = try SafeTensorsFile(path: path)
        #expect(try file.bytes("b") == [UInt8](8..<16))
        #expect(throws: Mine.self) { try file.withBytes(of: "a") { _ in throw Mine() } }
        #expect(code { _ = try SafeTensorsFile(path: folder.file("none")) } == .system(.errno(ENOENT)))
    }

    @Test("A file that is cut short while it is open gives an error, not a signal")
    func shrinking() throws {
        let folder = try TemporaryDirectory(), path = folder.file("x.safetensors")
        let count = 1 << 20
        let json = #"{"a":{"dtype":"U8","shape":[\#(count)],"data_offsets":[0,\#(count)]}}"#
        try Data(tensorFile(json, [UInt8](repeating: 1, count: count))).write(to: URL(fileURLWithPath: path))
        let file = try SafeTensorsFile(path: path)
        #expect(truncate(path, 4096) == 0)
        #expect(failure { _ = try file.bytes("a") } != nil)
    }

    /// A header, the bytes behind it, and what must be wrong with them.
    static let broken: [(what: String, json: String, data: Int, code: SafeTensorsFailure)] = [
        ("a gap before the first", tensor(4, 8), 8, .damaged),
        ("a gap between two", tensor(0, 4, name: "a", and: tensor(8, 12)), 12, .damaged),
        ("two that overlap", tensor(0, 4, name: "a", and: tensor(2, 6)), 6, .damaged),
        ("two at one place", tensor(0, 4, name: "a", and: tensor(0, 4)), 4, .damaged),
        ("an end before the beginning", tensor(4, 0), 4, .damaged),
        ("bytes behind the last", tensor(0, 4), 5, .damaged),
        ("data that are cut short", tensor(0, 4), 3, .truncated),
        ("a shape of more bytes", tensor(0, 4, shape: "[2]"), 4, .damaged),
        ("a shape of fewer bytes", tensor(0, 4, shape: "[0]"), 4, .damaged),
        ("a product beyond 64 bits", tensor(0, 4, shape: "[4294967296,4294967296,4294967296]"), 4, .damaged),
        ("a product of bytes beyond 64 bits", tensor(0, 4, shape: "[4611686018427387904]"), 4, .damaged),
        ("a number beyond 64 bits", tensor(0, 4, shape: "[18446744073709551617]"), 4, .damaged),
        ("a negative length", tensor(0, 4, shape: "[-1]"), 4, .damaged),
        ("a length that is not whole", tensor(0, 4, shape: "[1.0]"), 4, .damaged),
        ("a length with an exponent", tensor(0, 4, shape: "[1e0]"), 4, .damaged),
        ("a length that begins with 0", tensor(0, 4, shape: "[01]"), 4, .damaged),
        ("a shape without end", #"{"a":{"dtype":"F32","shape":[1"#, 4, .damaged),
        ("65 dimensions", tensor(0, 4, shape: "[\((0..<65).map { _ in "1" }.joined(separator: ","))]"), 4, .damaged),
        ("three offsets", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}"#, 4, .damaged),
        ("one offset", #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4]}}"#, 4, .damaged),
        ("no shape", #"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#, 4, .damaged),
        ("no dtype", #"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, 4, .damaged),
        ("a dtype twice", #"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4, .damaged),
        ("an unknown dtype", #"{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"#, 4, .unsupported),
        ("one name twice", tensor(0, 4, name: "x", and: tensor(4, 8, name: "x")), 8, .damaged),
        (
            "one name twice, empty", tensor(0, 0, name: "x", shape: "[0]", and: tensor(0, 0, name: "x", shape: "[0]")),
            0, .damaged
        ),
        ("one name twice, escaped", tensor(0, 4, name: "x", and: tensor(4, 8, name: "\\u0078")), 8, .damaged),
        ("metadata twice", #"{"__metadata__":{},"__metadata__":{}}"#, 0, .damaged),
        ("metadata that are numbers", #"{"__metadata__":{"a":1}}"#, 0, .damaged),
        ("a metadata key twice", #"{"__metadata__":{"a":"1","a":"1"}}"#, 0, .damaged),
        ("an array for the header", "[]", 0, .notSafeTensors),
        ("a space before the header", " {}", 0, .notSafeTensors),
        ("an empty header", "", 0, .notSafeTensors),
        ("something behind the JSON", "{} x", 0, .damaged),
        ("a zero behind the JSON", "{}\u{0}", 0, .damaged),
        ("a header without end", #"{"a":{"dtype":"F32""#, 0, .damaged),
        ("a text without end", #"{"a"#, 0, .damaged),
        ("a line break in a text", "{\"a\nb\":{}}", 0, .damaged),
        ("an unknown escape", #"{"\x":{}}"#, 0, .damaged),
        ("half of a surrogate pair", #"{"\ud83d":{}}"#, 0, .damaged),
        ("the other half alone", #"{"\ude00":{}}"#, 0, .damaged),
        ("a surrogate pair of two first halves", #"{"\ud83d\ud83d":{}}"#, 0, .damaged),
        ("a comma too much", #"{"__metadata__":{},}"#, 0, .damaged),
        ("endless nesting", #"{"a":{"x":"# + String(repeating: "[", count: 100_000), 0, .damaged),
    ]

    private static func tensor(
        _ begin: Int, _ end: Int, name: String = "b", shape: String = "[1]", and others: String = "{}"
    ) -> String {
        let own = #""\#(name)":{"dtype":"F32","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]}"#
        return others == "{}" ? "{\(own)}" : "{\(own),\(others.dropFirst())"
    }

    @Test("Each broken promise of a header is an error of its kind")
    func damage() {
        for (what, json, count, expected) in Self.broken {
            let bytes = tensorFile(json, [UInt8](repeating: 0, count: count))
            let error = failure { _ = try SafeTensorsFile(bytes: bytes, name: "broken") }
            #expect(error?.code == expected, "\(what): \(error?.description ?? "no error")")
            #expect(error?.file == "broken")
        }
    }

    @Test("Wrong lengths of the header and texts that are no UTF-8 are errors")
    func lengths() throws {
        let whole = tensorFile(Self.two, [UInt8](0..<16))
        for count in 0..<whole.count {
            #expect(code { _ = try SafeTensorsFile(bytes: Array(whole.prefix(count))) } != nil, "cut to \(count) bytes")
        }
        #expect(code { _ = try SafeTensorsFile(bytes: Array(whole.prefix(7))) } == .truncated)
        #expect(code { _ = try SafeTensorsFile(bytes: tensorFile("{}", length: 3)) } == .truncated)
        #expect(code { _ = try SafeTensorsFile(bytes: tensorFile("{}", length: 100_000_001)) } == .notSafeTensors)
        #expect(code { _ = try SafeTensorsFile(bytes: tensorFile("{}", length: .max)) } == .notSafeTensors)
        #expect(code { _ = try SafeTensorsFile(bytes: tensorFile("{}", length: 1 << 63)) } == .notSafeTensors)
        #expect(code { _ = try SafeTensorsFile(bytes: tensorFile("{}")) } == nil)
        var text = tensorFile(#"{"?":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, [0, 0, 0, 0])
        text[10] = 0xff
        #expect(code { _ = try SafeTensorsFile(bytes: text) } == .damaged)
    }

    @Test("Names that look alike but are other bytes are two tensors")
    func names() throws {
        let composed = "caf\u{e9}", decomposed = "cafe\u{301}"
        let json = """
            {"\(composed)":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},\
            "\(decomposed)":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}
            """
        let file = try SafeTensorsFile(bytes: tensorFile(json, [1, 2]))
        #expect(try file.uint8s(composed) == [1])
        #expect(try file.uint8s(decomposed) == [2])
    }
}
