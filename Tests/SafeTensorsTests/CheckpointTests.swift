import Foundation
import SafeTensors
import Support
import TestSupport
import Testing

/// Checkpoints made by hand, right and wrong.
@Suite struct CheckpointTests {
    /// A checkpoint with one tensor `w`.
    private static func zip(
        count: Int = 4, shape: [Int] = [2, 2], strides: [Int] = [2, 1], offset: Int = 0, stored: Int? = nil,
        type: String = "FloatStorage"
    ) -> Zip {
        let pickle = Pickle { pickle in
            pickle.op("}")
            pickle.text("state_dict")
            pickle.op("}")
            pickle.text("w")
            pickle.tensor("0", count: count, shape: shape, strides: strides, offset: offset, type: type)
            pickle.op("ss")
        }
        let numbers = (0..<(stored ?? count)).flatMap { littleEndian(Float($0).bitPattern) }
        return Zip(pickle: pickle, storages: ["0": numbers])
    }

    private static func open(_ zip: Zip) throws -> PyTorchCheckpoint {
        try PyTorchCheckpoint(bytes: zip.bytes, name: "made")
    }

    private static func floats(_ zip: Zip) throws -> [Float] { try open(zip).floats("w") }

    @Test("Views of a storage come out in the order of their indices")
    func views() throws {
        #expect(try Self.floats(Self.zip()) == [0, 1, 2, 3])
        #expect(try Self.floats(Self.zip(strides: [1, 2])) == [0, 2, 1, 3])
        #expect(try Self.floats(Self.zip(count: 7, shape: [2, 2], strides: [3, 2], offset: 1)) == [1, 3, 4, 6])
        #expect(try Self.floats(Self.zip(shape: [3], strides: [0], offset: 2)) == [2, 2, 2])
        #expect(try Self.floats(Self.zip(shape: [], strides: [], offset: 3)) == [3])
        #expect(try Self.floats(Self.zip(shape: [0, 2], strides: [2, 1], offset: 4)) == [])
        #expect(try Self.floats(Self.zip(count: 0, shape: [0], strides: [1])) == [])
        #expect(try Self.floats(Self.zip(shape: [1, 2, 1], strides: [.max, 2, 99], offset: 1)) == [1, 3])
        #expect(
            try Self.floats(Self.zip(count: 12, shape: [2, 1, 3, 2], strides: [6, .max, 1, 3])) == [
                0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11,
            ])
    }

    @Test("A checkpoint is read from disk, with wide sizes, a comment, another folder, and no byteorder as older files")
    func forms() throws {
        var zip = Self.zip()
        zip.members = zip.members.map {
            var member = $0
            member.isWide = true
            return member
        }
        #expect(try Self.floats(zip) == [0, 1, 2, 3])
        zip.isWide = true
        zip.comment = "PK\u{5}\u{6} in a comment"
        #expect(try Self.floats(zip) == [0, 1, 2, 3])
        zip.members.removeAll { $0.name.hasSuffix("byteorder") }
        zip.members = zip.members.map {
            var member = $0
            member.name = member.name.replacingOccurrences(of: "archive", with: "näme")
            return member
        }
        zip.members.insert(.init(name: "top", content: []), at: 0)
        #expect(try Self.floats(zip) == [0, 1, 2, 3])
        let folder = try TemporaryDirectory(), path = folder.file("x.ckpt")
        try Data(zip.bytes).write(to: URL(fileURLWithPath: path))
        let checkpoint = try PyTorchCheckpoint(path: path)
        #expect(try checkpoint.floats("w") == [0, 1, 2, 3])
        #expect(try checkpoint.floats("w") == [0, 1, 2, 3])
    }

    @Test(
        "A tensor that leads out of its storage is damage",
        arguments: [
            zip(count: 3), zip(offset: 1), zip(strides: [3, 1]), zip(strides: [.max, 1]),
            zip(strides: [.max / 2 + 1, .max / 2 + 1]),
            zip(offset: .max), zip(offset: -1), zip(strides: [-1, 1]), zip(shape: [-1, 2]),
            zip(shape: [2], strides: [1, 1]),
            zip(count: -1, shape: [0], strides: [1], stored: 0), zip(shape: [.max, .max], strides: [0, 0]),
            zip(count: .max, stored: 4),
            zip(shape: [Int](repeating: 1, count: 65), strides: [Int](repeating: 1, count: 65)),
        ])
    func outside(zip: Zip) {
        let error = failure { _ = try Self.floats(zip) }
        #expect(
            error.map { [.damaged, .unsupported].contains($0.code) } == true, "\(error?.description ?? "no error")")
    }

    @Test("A storage of another size than the pickle says, or none at all, is damage when it is asked for")
    func storages() throws {
        #expect(code { _ = try Self.floats(Self.zip(stored: 3)) } == .damaged)
        #expect(code { _ = try Self.floats(Self.zip(stored: 5)) } == .damaged)
        var zip = Self.zip()
        zip.members.removeLast()
        let checkpoint = try Self.open(zip)
        #expect(try checkpoint.entry("w").shape == [2, 2])
        #expect(code { _ = try checkpoint.floats("w") } == .damaged)
        #expect(code { _ = try Self.floats(Self.zip(type: "ComplexFloatStorage")) } == .unsupported)
    }

    @Test("Few bytes cannot ask for many: a tensor that repeats its storage without end is refused")
    func repetition() {
        #expect(code { _ = try Self.floats(Self.zip(shape: [1 << 50], strides: [0])) } == .limit)
        #expect(code { _ = try Self.floats(Self.zip(shape: [1 << 20, 1 << 20], strides: [0, 0])) } == .limit)
    }

    @Test("Members are held against their CRC-32, unless that is switched off")
    func checksums() throws {
        for place in 0..<3 {
            var zip = Self.zip()
            zip.members[place].checksum = 1
            let error = failure { _ = try Self.floats(zip) }
            #expect(error?.code == .damaged)
            #expect(error?.place.contains(zip.members[place].name) == true)
            let checkpoint = try PyTorchCheckpoint(bytes: zip.bytes, isCheckingSums: false)
            #expect(try checkpoint.floats("w") == [0, 1, 2, 3])
        }
    }

    /// What is done to an archive, and what comes of it.
    private static let broken: [(what: String, code: SafeTensorsFailure, change: @Sendable (inout Zip) -> Void)] = [
        ("compressed", .unsupported, { $0.members[2].method = 8 }),
        ("a compressed pickle", .unsupported, { $0.members[0].method = 8 }),
        ("encrypted", .unsupported, { $0.members[2].flags = 1 }),
        ("big-endian", .unsupported, { $0.members[1] = .init(name: $0.members[1].name, content: Array("big".utf8)) }),
        ("a name twice", .damaged, { $0.members.append($0.members[2]) }),
        ("another name in the local header", .damaged, { $0.members[2].localName = "archive/data/1" }),
        ("a local header elsewhere", .damaged, { $0.members[2].position = 1 }),
        ("a local header outside", .damaged, { $0.members[2].position = 1 << 20 }),
        ("a size that leads outside", .damaged, { $0.members[2].size = 1 << 20 }),
        (
            "an absurd size", .damaged,
            {
                $0.members[2].size = .max >> 1
                $0.members[2].isWide = true
            }
        ),
        (
            "an absurd place", .damaged,
            {
                $0.members[2].position = .max >> 1
                $0.members[2].isWide = true
            }
        ),
        (
            "a size beyond what is", .damaged,
            {
                $0.members[2].size = .max
                $0.members[2].isWide = true
            }
        ),
        ("no pickle", .notPyTorch, { $0.members[0].name = "archive/other.pkl" }),
        ("an empty pickle", .truncated, { $0.members[0] = .init(name: $0.members[0].name, content: []) }),
    ]

    @Test("Each broken promise of an archive is an error of its kind")
    func archives() {
        for (what, expected, change) in Self.broken {
            var zip = Self.zip()
            change(&zip)
            let error = failure { _ = try Self.floats(zip) }
            #expect(error?.code == expected, "\(what): \(error?.description ?? "no error")")
            #expect(error?.file == "made", "\(what)")
        }
    }

    @Test("A checkpoint that is cut short anywhere is an error")
    func cut() {
        let whole = Self.zip().bytes
        for count in 0..<whole.count {
            #expect(
                failure { _ = try PyTorchCheckpoint(bytes: Array(whole.prefix(count))) } != nil, "cut to \(count) bytes"
            )
        }
        #expect(code { _ = try PyTorchCheckpoint(bytes: Array(whole.dropLast())) } == .truncated)
    }

    @Test("A name that stands twice in the state dictionary is damage")
    func twice() {
        let pickle = Pickle { pickle in
            pickle.op("}")
            for _ in 0..<2 {
                pickle.text("w")
                pickle.tensor("0", count: 1, shape: [1], strides: [1])
                pickle.op("s")
            }
        }
        let zip = Zip(pickle: pickle, storages: ["0": [0, 0, 0, 0]])
        #expect(code { _ = try Self.open(zip).stateDictionary() } == .damaged)
    }
}
