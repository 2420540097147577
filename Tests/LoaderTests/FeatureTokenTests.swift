import Foundation
import Loader
import TestSupport
import Testing

/// Rows as the original makes them: the stored row without its last and without its first token, cut.
private func model(_ codes: [Int], codebook: Int, length: Int) -> (input: [Int], target: [Int]) {
    if codes.isEmpty { return ([], []) }
    let row = [0] + codes.map { $0 + 1 } + [codebook + 1]
    return (Array(row.dropLast().prefix(length)), Array(row.dropFirst().prefix(length)))
}

/// Codes with random lengths, of three types.
private struct Sample {
    var jets: [[Int]] = []
    var offsets: [Int32] { jets.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1.count)) } }

    init(_ random: inout Seeded, codebook: Int, length: Int) {
        for _ in 0..<40 {
            let count = [0, 1, 2, length - 1, length, length + 1, 50].randomElement(using: &random) ?? 0
            jets.append((0..<count).map { _ in Int.random(in: 0..<codebook, using: &random) })
        }
        jets[3] = [codebook - 1, 0]
    }

    func withColumns(_ body: (TokenColumn) throws -> Void) rethrows {
        let codes = jets.flatMap { $0 }
        try codes.map(Int32.init).withUnsafeBufferPointer { try $0.baseAddress.map { try body(.int32($0)) } }
        try codes.map(UInt16.init).withUnsafeBufferPointer { try $0.baseAddress.map { try body(.uint16($0)) } }
        if codes.allSatisfy({ $0 < 1 << 15 }) {
            try codes.map(Int16.init).withUnsafeBufferPointer { try $0.baseAddress.map { try body(.int16($0)) } }
        }
    }
}

@Suite struct FeatureTokenTests {
    @Test(arguments: [(8192, 128), (65536, 128), (3, 1), (20, 2), (512, 40)])
    func `pairs are what the original makes`(codebook: Int, length: Int) throws {
        var random = Seeded(UInt64(codebook))
        let pairs = try TokenPairs(codebookSize: codebook, length: length)
        #expect(pairs.stop == codebook + 1 && pairs.vocabularySize == codebook + 2)
        let sample = Sample(&random, codebook: codebook, length: length), rows = sample.jets.count
        let slots = (0..<Int32(rows)).shuffled(using: &random), offsets = sample.offsets
        let expected = sample.jets.map { model($0, codebook: codebook, length: length) }
        try sample.withColumns { codes in
            var input = [Int32](repeating: -5, count: rows * length), target = input
            var input64 = [Int64](repeating: -5, count: rows * length), target64 = input64
            var mask = [UInt8](repeating: 9, count: rows * length), mask64 = mask
            try pairs.assemble(
                codes, rows: rows, offsets: offsets, slots: slots, input: &input, target: &target, mask: &mask)
            try pairs.assemble(
                codes, rows: rows, offsets: offsets, input: &input64, target: &target64, mask: &mask64)
            for (jet, (wantInput, wantTarget)) in expected.enumerated() {
                let padding = [Int](repeating: 0, count: length - wantInput.count)
                let flags = wantInput.map { _ in UInt8(1) } + padding.map { _ in UInt8(0) }
                let slot = Int(slots[jet]) * length..<Int(slots[jet]) * length + length
                let row = jet * length..<(jet + 1) * length
                #expect(input[slot].map(Int.init) == wantInput + padding)
                #expect(target[slot].map(Int.init) == wantTarget + padding)
                #expect(Array(mask[slot]) == flags && Array(mask64[row]) == flags)
                #expect(input64[row].map(Int.init) == wantInput + padding)
                #expect(target64[row].map(Int.init) == wantTarget + padding)
            }

            // Jagged: memory without a place too much, after two tokens of somebody else.
            let flat = (input: expected.flatMap { $0.input }, target: expected.flatMap { $0.target })
            var ends = [Int32](repeating: -1, count: rows + 1)
            ends[0] = 2
            input = [Int32](repeating: -5, count: flat.input.count + 2)
            target = input
            #expect(
                try pairs.assembleJagged(
                    codes, rows: rows, offsets: offsets, input: &input, target: &target, outputOffsets: &ends)
                    == flat.input.count + 2)
            #expect(input.map(Int.init) == [-5, -5] + flat.input && target.map(Int.init) == [-5, -5] + flat.target)
            #expect(zip(ends.dropFirst(), ends).map { Int($0 - $1) } == expected.map { $0.input.count })
            input64 = [Int64](repeating: -5, count: flat.input.count + 2)
            target64 = input64
            try pairs.assembleJagged(
                codes, rows: rows, offsets: offsets, input: &input64, target: &target64, outputOffsets: &ends)
            #expect(
                input64.map(Int.init) == [-5, -5] + flat.input && target64.map(Int.init) == [-5, -5] + flat.target)
        }
    }

    @Test func `a code outside the codebook is an error with its row, position and value`() throws {
        let pairs = try TokenPairs(codebookSize: 100, length: 4)
        for (value, place) in [(Int32(100), 3), (-1, 0), (.min, 5), (100, 6), (.max, 8)] {
            var codes = [Int32](repeating: 99, count: 9)
            codes[place] = value
            var input = [Int32](repeating: 0, count: 12), target = input, mask = [UInt8](repeating: 0, count: 12)
            let error = try #require(throws: LoaderError.self) {
                try codes.withUnsafeBufferPointer { codes in
                    let column = TokenColumn.int32(try #require(codes.baseAddress))
                    try pairs.assemble(
                        column, rows: 3, offsets: [0, 2, 2, 9], input: &input, target: &target, mask: &mask)
                }
            }
            #expect(error.code == .data)
            let row = place < 2 ? "row 0, position \(place)" : "row 2, position \(place - 2)"
            #expect(error.place == row)
            #expect(error.description.contains("the code \(value) is outside the codebook, expected 0 to 99"))
        }
    }

    @Test func `sizes, lengths and offsets that make no sense are refused`() throws {
        for (codebook, length) in [(0, 1), (Int(Int32.max) - 1, 1), (5, 0), (5, 1 << 21)] {
            #expect(throws: LoaderError.self) { try TokenPairs(codebookSize: codebook, length: length) }
        }
        let pairs = try TokenPairs(codebookSize: 5)
        var input: [Int32] = [], target: [Int32] = [], ends: [Int32] = [.max, 0]
        let codes: [Int32] = [1]
        for (rows, offsets) in [(-1, [0]), (1, [1, 0]), (1, [0, 1])] as [(Int, [Int32])] {
            #expect(throws: LoaderError.self) {
                try codes.withUnsafeBufferPointer { codes in
                    try pairs.assembleJagged(
                        .int32(#require(codes.baseAddress)), rows: rows, offsets: offsets, input: &input,
                        target: &target, outputOffsets: &ends)
                }
            }
        }
    }

    @Test(.enabled(if: Package.data != nil)) func `pairs are those of the original's recorded run`() throws {
        let path = try #require(Package.data) + "/golden/model/backbone_generative.safetensors"
        let golden = try SafeTensorsFile(path)
        let rows = try golden.integers("in/sequences_values"), offsets = try golden.integers("in/sequences_offsets")
        let expected = try golden.integers("in/input"), target = try golden.integers("in/target")
        let mask = try golden.integers("in/mask")
        // The recorded sequences have start and stop; the codes lie between.
        let count = offsets.count - 1, length = expected.count / count
        let stop = rows[offsets[1] - 1]
        var codes: [Int32] = [], ends: [Int32] = [0]
        for jet in 0..<count {
            codes += rows[offsets[jet] + 1..<offsets[jet + 1] - 1].map { Int32($0 - 1) }
            ends.append(Int32(codes.count))
        }
        var input = [Int64](repeating: -1, count: count * length), out = input
        var flags = [UInt8](repeating: 9, count: count * length)
        try codes.withUnsafeBufferPointer { codes in
            try TokenPairs(codebookSize: stop - 1, length: length).assemble(
                .int32(#require(codes.baseAddress)), rows: count, offsets: ends, input: &input, target: &out,
                mask: &flags)
        }
        #expect(input.map(Int.init) == expected && out.map(Int.init) == target && flags.map(Int.init) == mask)
    }
}
