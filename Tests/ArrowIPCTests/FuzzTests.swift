import ArrowIPC
import Foundation
import Support
import Testing

@Suite struct FuzzTests {
    @Test("Damaged files give errors or values, never a crash", .timeLimit(.minutes(10)))
    func mutations() throws {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["PANDO_FUZZ_ARROW"].flatMap { Int($0) } ?? 5000
        let seed = environment["PANDO_FUZZ_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
        print("PANDO_FUZZ_SEED=\(seed) PANDO_FUZZ_ARROW=\(count)")
        var random = SeededGenerator(seed: seed)
        var originals = try [BodyCompression.none, .lz4, .zstd(level: 1)].map { compression in
            let table = SampleTable(rows: 9, seed: 1)
            let batch = try table.encode(compression, metadata: [KeyValue(key: "key", value: "value")])
            return ArrowFileLayout.file(schema: table.schema, batches: [batch, batch])
        }
        if Python.hasPyarrow { originals += try PyarrowFiles.make().map(\.bytes) }
        let before = peakMemory()
        var outcomes: [String: Int] = [:]
        for _ in 0..<count {
            let original = originals[Int.random(in: 0..<originals.count, using: &random)]
            var bytes = original
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                Self.mutate(&bytes, donor: originals[Int.random(in: 0..<originals.count, using: &random)], &random)
            }
            outcomes[readEverything(bytes), default: 0] += 1
        }
        let growth = peakMemory() - before
        print("outcomes \(outcomes), peak memory grew by \(growth >> 20) MiB")
        #expect(growth < 256 << 20)
        #expect(outcomes.count > 3)
    }

    /// Opens a file and reads every value; the name of the first error's code, or "read".
    private func readEverything(_ bytes: [UInt8]) -> String {
        var first: String?
        func note(_ error: ArrowError) { first = first ?? "\(error.code)" }
        do throws(ArrowError) {
            let file = try ArrowFile(bytes: bytes, name: "fuzz")
            let decoder = BodyDecoder()
            for index in 0..<file.recordBatchCount {
                do throws(ArrowError) {
                    let batch = try file.recordBatch(index)
                    for column in file.schema.fields.indices {
                        do throws(ArrowError) {
                            _ = try readColumn(batch, column, using: decoder)
                            _ = try batch.validity(ofColumn: column, using: decoder)
                            _ = try batch.childValidity(ofColumn: column, using: decoder)
                        } catch { note(error) }
                    }
                } catch { note(error) }
            }
        } catch { note(error) }
        return first ?? "read"
    }

    static func mutate(_ bytes: inout [UInt8], donor: [UInt8], _ random: inout SeededGenerator) {
        guard bytes.count > 16 else { return }
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<8, using: &random) {
        case 0:
            bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
        case 1:
            bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 2:
            // Cut out of the middle, so that the file keeps its end.
            bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...200, using: &random)))
        case 3:
            bytes.removeSubrange(place...)
        case 4:
            let from = Int.random(in: 0..<donor.count, using: &random)
            let piece = donor[from..<min(donor.count, from + Int.random(in: 1...100, using: &random))]
            bytes.replaceSubrange(place..<min(bytes.count, place + piece.count), with: piece)
        case 5:
            // Another offset within the metadata: tables and vectors that overlap or are met again.
            store(UInt32.random(in: 0..<UInt32(min(bytes.count, 2000)), using: &random), &bytes, place & ~3)
        case 6:
            let extremes: [UInt32] = [0, 1, 4, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff, 0x7fff, 0x1000_0000]
            store(extremes[Int.random(in: 0..<extremes.count, using: &random)], &bytes, place & ~3)
        default:
            let extremes: [UInt64] = [
                0, 1, .max, .max >> 1, 1 << 63, 1 << 62, 1 << 31, 1 << 32, 1 << 20, .max - 7, 0x7fff_ffff_ffff_fff8,
            ]
            store(extremes[Int.random(in: 0..<extremes.count, using: &random)], &bytes, place & ~7)
        }
    }

    private static func store<Number: FixedWidthInteger>(_ value: Number, _ bytes: inout [UInt8], _ place: Int) {
        guard place + MemoryLayout<Number>.size <= bytes.count else { return }
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: place, as: Number.self) }
    }

    /// The most memory that the process has had, in bytes.
    private func peakMemory() -> Int {
        let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        let number = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0
        return number << 10
    }
}
