import Foundation
import SafeTensors
import Support
import TestSupport
import Testing

@Suite struct WriterTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    @Test("What is written is read back: every type, empty tensors, single numbers, odd names")
    func roundTrip() throws {
        var random = Seeded(1)
        var tensors: [OutgoingTensor] = [], bytes: [String: [UInt8]] = [:]
        for type in TensorType.allCases {
            for shape in [[], [0], [3, 0, 2], [5], [2, 3, 4]] {
                let name = "\(type)/\(shape) é😀\"\\\n\u{1}", count = shape.reduce(type.size, *)
                bytes[name] = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                tensors.append(try OutgoingTensor(name, type: type, shape: shape, bytes: bytes[name] ?? []))
            }
        }
        let metadata = ["key": "value \"quoted\"\t\u{1f}\u{7f}", "é": "{\"nested\": [1]}"]
        let path = folder.file("all.safetensors")
        try SafeTensorsWriter.write(path: path, tensors: tensors.shuffled(using: &random), metadata: metadata)
        let file = try SafeTensorsFile(path: path)
        #expect(file.metadata == metadata)
        #expect(file.names.count == tensors.count)
        for tensor in tensors {
            #expect(try file.entry(tensor.entry.name) == tensor.entry)
            #expect(try file.bytes(tensor.entry.name) == bytes[tensor.entry.name])
        }
    }

    @Test("Arrays are written as tensors of their type, buffers piece by piece")
    func elements() throws {
        let path = folder.file("arrays.safetensors"),
            big = [Float](unsafeUninitializedCapacity: 100_000) { buffer, count in
                for index in 0..<100_000 { buffer.initializeElement(at: index, to: Float(index)) }
                count = 100_000
            }
        try SafeTensorsWriter.write(
            path: path,
            tensors: [
                OutgoingTensor("bool", shape: [2], [true, false]), OutgoingTensor("int8", shape: [2], [Int8](-1...0)),
                OutgoingTensor("double", shape: [1, 1], [0.1]), OutgoingTensor("int32", shape: [], [Int32.min]),
                OutgoingTensor("pieces", type: .f32, shape: [100_000]) { write in
                    try big.withUnsafeBytes { bytes in
                        for start in stride(from: 0, to: bytes.count, by: 999) {
                            try write(UnsafeRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + 999)]))
                        }
                    }
                },
            ])
        let file = try SafeTensorsFile(path: path)
        #expect(file.names == ["double", "pieces", "int32", "int8", "bool"])
        #expect(try file.floats("pieces") == big)
        #expect(try file.doubles("double") == [0.1])
        #expect(try file.int64s("int8") == [-1, 0])
        #expect(try file.bytes("bool") == [1, 0])
    }

    @Test("The bytes do not depend on the order in which tensors and metadata come, and data begin at a multiple of 8")
    func deterministic() throws {
        let tensors = try (0..<40).map { index in
            let type = TensorType.allCases[index % 10]
            return try OutgoingTensor(
                "t\(index)", type: type, shape: [3], bytes: [UInt8](repeating: UInt8(index), count: 3 * type.size))
        }
        var random = Seeded(2), seen: Set<[UInt8]> = []
        for round in 0..<5 {
            let path = folder.file("\(round)")
            let keys = (0..<20).shuffled(using: &random)
            try SafeTensorsWriter.write(
                path: path, tensors: tensors.shuffled(using: &random),
                metadata: Dictionary(uniqueKeysWithValues: keys.map { ("k\($0)", "v\($0)") }))
            seen.insert(try contents(path))
        }
        #expect(seen.count == 1)
        let bytes = try #require(seen.first)
        #expect(bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) } % 8 == 0)
    }

    @Test("What cannot be written is an error and leaves no file")
    func refusals() throws {
        struct Mine: Error {}
        let path = folder.file("none.safetensors")
        func writing(_ tensors: [OutgoingTensor]) -> SafeTensorsFailure? {
            code { try SafeTensorsWriter.write(path: path, tensors: tensors) }
        }
        let one = try OutgoingTensor("a", shape: [1], [Float(1)])
        #expect(writing([one, one]) == .usage)
        #expect(writing([try OutgoingTensor("__metadata__", shape: [1], [Float(1)])]) == .usage)
        #expect(
            writing([try OutgoingTensor("few", type: .f32, shape: [2]) { try [1].withUnsafeBytes($0) }, one]) == nil)
        #expect(writing([try OutgoingTensor("few", type: .f32, shape: [3]) { try [1].withUnsafeBytes($0) }]) == .usage)
        #expect(writing([try OutgoingTensor("many", type: .f32, shape: [1]) { try [1].withUnsafeBytes($0) }]) == .usage)
        #expect(throws: Mine.self) {
            try SafeTensorsWriter.write(
                path: path, tensors: [OutgoingTensor("x", type: .u8, shape: [1]) { _ in throw Mine() }])
        }
        #expect(code { _ = try OutgoingTensor("x", shape: [2], [Float(1)]) } == .usage)
        #expect(code { _ = try OutgoingTensor("x", type: .f32, shape: [-1], bytes: []) } == .usage)
        #expect(code { _ = try OutgoingTensor("x", type: .f32, shape: [.max, 2], bytes: []) } == .usage)
        #expect(code { _ = try OutgoingTensor("x", type: .f32, shape: [2], bytes: [0]) } == .usage)
        #expect(code { try SafeTensorsWriter.write(path: "/nowhere/x", tensors: []) } == .system(.errno(ENOENT)))
        try FileManager.default.removeItem(atPath: path)
        #expect(writing([try OutgoingTensor("few", type: .f32, shape: [3]) { _ in }]) == .usage)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    }

    @Test("A file without tensors is one")
    func empty() throws {
        try SafeTensorsWriter.write(path: folder.file("empty"), tensors: [])
        #expect(try SafeTensorsFile(path: folder.file("empty")).names == [])
        #expect(try contents(folder.file("empty")) == tensorFile("{}      "))
    }
}
