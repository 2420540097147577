import ArrowIPC
import Convert
import Foundation
import HDF5File
import Loader
import Shards
import TestSupport
import Testing

/// Converts files in small record batches and shards, so that few jets make many of them.
func makeDataset(
    _ inputs: [String], _ path: String, schema: String = "aspen-open-jets",
    _ change: (inout ConversionOptions) -> Void = { _ in }
) throws -> String {
    var options = ConversionOptions()
    options.threads = 2
    options.batchRows = 50
    options.shardBytes = 200_000
    change(&options)
    _ = try Converter(inputs: inputs, output: path, schema: try SourceSchema(named: schema), options: options).run()
    return path
}

/// Options under which the sample has some 36 batches.
func smallOptions(_ change: (inout LoaderOptions) -> Void = { _ in }) -> LoaderOptions {
    var options = LoaderOptions()
    options.batchSize = 48
    options.streams = 12
    options.threads = 2
    change(&options)
    return options
}

/// All that a batch holds of one jet, bit for bit.
struct JetRow: Equatable {
    var dataset = 0
    var jet = 0
    /// The bytes of each column.
    var columns: [Data] = []
    /// Features, padded or jagged, and the mask.
    var features: [UInt32] = []
    var mask: [UInt8] = []
    var label: Int32?
    var jetFeatures: [UInt32] = []
    var tokens: [Int32] = []
    var tokenMask: [UInt8] = []

    /// The same jet from a loader over its dataset alone.
    func alone() -> JetRow {
        var row = self
        row.dataset = 0
        return row
    }
}

extension Loader {
    /// The rows of a batch of this loader.
    func rows(of batch: Batch) -> [JetRow] {
        let fields = dataset.catalogue.encoding.fields
        let names = (contents.columns ?? []).sorted()
        let width = contents.features?.features.count ?? 0, length = contents.features?.padLength ?? 0
        let jetWidth = batch.rows > 0 ? batch.jetFeatures.count / batch.rows : 0
        let tokens = contents.tokens?.length ?? 0
        return (0..<batch.rows).map { index in
            var row = JetRow(dataset: Int(batch.datasets[index]), jet: batch.jets[index])
            for name in names {
                let size = batch.elementType(of: name)?.width ?? 0
                let isList = fields.contains { $0.name == name && $0.role == .constituent }
                let range =
                    isList
                    ? Int(batch.offsets[index]) * size..<Int(batch.offsets[index + 1]) * size
                    : index * size..<(index + 1) * size
                row.columns.append(batch.bytes(of: name).map { Data($0[range]) } ?? Data())
            }
            if contents.isJagged, width > 0 {
                let range = Int(batch.featureOffsets[index]) * width..<Int(batch.featureOffsets[index + 1]) * width
                row.features = batch.features[range].map(\.bitPattern)
            } else if width > 0 {
                row.features = batch.features[index * length * width..<(index + 1) * length * width].map(\.bitPattern)
                row.mask = Array(batch.mask[index * length..<(index + 1) * length])
            }
            row.label = batch.labels.isEmpty ? nil : batch.labels[index]
            row.jetFeatures = batch.jetFeatures[index * jetWidth..<(index + 1) * jetWidth].map(\.bitPattern)
            let range = index * tokens..<(index + 1) * tokens
            row.tokens = Array(batch.tokenInput[range]) + Array(batch.tokenTarget[range])
            row.tokenMask = Array(batch.tokenMask[range])
            return row
        }
    }

    /// The batches of an epoch.
    func epoch(_ epoch: Int = 0) throws -> [[JetRow]] {
        let batches = try batches(epoch: epoch)
        var found: [[JetRow]] = []
        while let batch = try batches.next() { found.append(rows(of: batch)) }
        return found
    }
}

/// The jets of a dataset by their numbers, from a loader that neither shuffles nor mixes.
func plainRows(
    _ path: String, _ contents: LoaderContents, _ change: (inout LoaderOptions) -> Void = { _ in }
) throws -> [Int: JetRow] {
    let options = smallOptions {
        ($0.shuffle, $0.dropLast, $0.streams, $0.batchSize) = (false, false, 1, 100)
        change(&$0)
    }
    let loader = try Loader(dataset: path, contents: contents, options: options)
    return Dictionary(uniqueKeysWithValues: try loader.epoch().joined().map { ($0.jet, $0) })
}

/// Goes on from many places of an epoch, three times one after the other, each time with other threads and ranks.
func checkResuming(
    rounds: Int, epoch: Int = 0, seed: UInt64, _ make: (_ threads: Int, _ world: Int, _ rank: Int) throws -> Loader
) throws {
    var random = Seeded(seed)
    func other<Value: Equatable>(_ values: [Value], than last: Value) -> Value {
        values.filter { $0 != last }.randomElement(using: &random) ?? last
    }
    // States as a run of all of the epoch leaves them.
    let first = try make(2, 1, 0), batches = try first.batches(epoch: epoch)
    var states = [batches.state], whole: [[JetRow]] = []
    while let batch = try batches.next() {
        whole.append(first.rows(of: batch))
        states.append(batches.state)
    }
    try #require(whole.count > 10 && states[0] == first.state(epoch: epoch))
    var (threads, world) = (2, 1)
    for round in 0..<rounds {
        var state = try #require(states.randomElement(using: &random)), step = state.step
        for piece in 0..<3 {
            (threads, world) = (other([1, 2, 3, 8], than: threads), other([1, 2, 3, 4, 6], than: world))
            let place: Comment =
                "seed \(seed), round \(round), piece \(piece), step \(step), \(threads) threads, \(world) ranks"
            // As it goes through a checkpoint.
            let text = try JSONEncoder().encode(state)
            #expect(text.count < 1000, place)
            let loaded = try JSONDecoder().decode(LoaderState.self, from: text)
            let ranks = try (0..<world).map { rank in
                let loader = try make(threads, world, rank)
                return (loader: loader, batches: try loader.batches(from: loaded))
            }
            #expect(ranks.allSatisfy { $0.batches.state == state }, place)
            #expect(loaded == state && states[step] == state, place)
            let left = whole.count - step
            for _ in 0..<(piece == 2 ? left : Int.random(in: 0...left, using: &random)) {
                var rows: [JetRow] = []
                for rank in ranks { rows += rank.loader.rows(of: try #require(try rank.batches.next(), place)) }
                try #require(rows == whole[step], place)
                step += 1
            }
            state = ranks[0].batches.state
            #expect(ranks.allSatisfy { $0.batches.state == states[step] }, place)
            if piece == 2 { for rank in ranks { #expect(try rank.batches.next() == nil, place) } }
        }
    }
}

/// HDF5 files with jets that nobody measured.
enum MadeJets {
    /// The layout of AspenOpenJets, with momenta and impact parameters that no lattice and no float16 holds.
    static func writeRaw(_ path: String, rows: Int, seed: UInt64) throws {
        var random = Seeded(seed)
        func number(_ range: ClosedRange<Double>) -> Double { .random(in: range, using: &random) }
        var events: [Int64] = [], kinematics: [Float] = [], tagging: [Float] = [], candidates: [Float] = []
        let codes: [Float] = [211, -211, 130, 22, 11, 13]
        for _ in 0..<rows {
            events += [
                .random(in: 1...500_000, using: &random), .random(in: 1...3000, using: &random),
                .random(in: 1...(1 << 40), using: &random),
            ]
            let eta = number(-2...2), phi = number(-3.1...3.1)
            kinematics += [Float(number(300...900)), Float(eta), Float(phi), Float(number(-10...200))]
            tagging += (0..<13).map { _ in Float(number(0...1)) }
            let count = [0, 1, 2, 20, 60, 150].randomElement(using: &random) ?? 0
            for slot in 0..<150 {
                guard slot < count else {
                    candidates += [Float](repeating: 0, count: 11)
                    continue
                }
                let pt = exp(number(-1...5)), a = phi + number(-1...1), b = eta + number(-1...1)
                let p = [Float(pt * cos(a)), Float(pt * sin(a)), Float(pt * sinh(b)), Float(pt * cosh(b))]
                let charge = Float(Int.random(in: -1...1, using: &random))
                candidates += p + (0..<4).map { _ in Float(number(-1...1)) }
                candidates += [
                    charge, codes.randomElement(using: &random) ?? 22, Bool.random(using: &random) ? 1 : 0.3,
                ]
            }
        }
        let writer = try HDF5Writer(path: path)
        try writer.add("event_info", .int64, [rows, 3], events)
        try writer.add("jet_kinematics", .float32, [rows, 4], kinematics)
        try writer.add("jet_tagging", .float32, [rows, 13], tagging)
        try writer.add("PFCands", .float32, [rows, 150, 11], candidates)
        try writer.close()
    }

    /// What `writeTagged` wrote.
    struct Tagged {
        var classes: [Int32] = []
        var codes: [[Int]] = []
        var masses: [Double] = []
        var events: [[UInt64]] = []
    }

    /// A layout of its own (`taggedSchema`): one-hot labels, tokens, double precision, unsigned event numbers.
    static func writeTagged(
        _ path: String, rows: Int, codebook: Int, seed: UInt64, tokens type: HDF5Element = .int16,
        classes: ClosedRange<Int32> = -1...2
    ) throws -> Tagged {
        var random = Seeded(seed)
        var made = Tagged(), labels: [Int8] = [], jets: [Double] = [], candidates: [Float] = [], codes: [Int] = []
        for row in 0..<rows {
            let label = Int32.random(in: classes, using: &random)
            made.classes.append(label)
            // Of two classes the first one counts; a probability is as good as a flag.
            labels += (0..<3).map { $0 == label ? 1 : $0 > label && label >= 0 && row % 7 == 0 ? 5 : 0 }
            made.masses.append(.random(in: 0...200, using: &random))
            jets += [made.masses[row], 1 / Double(row + 3)]
            made.events.append((0..<3).map { _ in .random(in: 0...(1 << 62), using: &random) })
            let count = [0, 1, 7, 39, 40].randomElement(using: &random) ?? 0
            made.codes.append((0..<count).map { _ in .random(in: 0..<codebook, using: &random) })
            codes += made.codes[row] + [Int](repeating: 0, count: 40 - count)
            for slot in 0..<40 {
                let p = (0..<3).map { _ in Float.random(in: 0.1...30, using: &random) }
                candidates += slot < count ? p + [p.reduce(0, +)] : [0, 0, 0, 0]
            }
        }
        let writer = try HDF5Writer(path: path)
        try writer.add("event", .uint64, [rows, 3], made.events.flatMap { $0 })
        try writer.add("label", .int8, [rows, 3], labels)
        try writer.add("jet", .float64, [rows, 2], jets)
        try writer.add("part", .float32, [rows, 40, 4], candidates)
        switch type {
        case .int32: try writer.add("tokens", type, [rows, 40], codes.map { Int32($0) })
        case .uint16: try writer.add("tokens", type, [rows, 40], codes.map { UInt16($0) })
        case .float32: try writer.add("tokens", type, [rows, 40], codes.map { Float($0) })
        default: try writer.add("tokens", type, [rows, 40], codes.map { Int16($0) })
        }
        try writer.close()
        return made
    }

    /// Writes the schema of `writeTagged` and gives its path. `mass` names a column of jets.
    static func taggedSchema(_ path: String, tokens: String = "int16", mass: String = "mass") throws -> String {
        func columns(_ names: [String]) -> String { names.map { #"{"name": "\#($0)"}"# }.joined(separator: ", ") }
        let json = """
            {"name": "tagged", "description": "", "format": "hdf5", "event": ["run", "lumi", "event"], "datasets": [
            {"path": "event", "type": "uint64", "role": "event", "columns": [\(columns(["run", "lumi", "event"]))]},
            {"path": "label", "type": "int8", "role": "label", "columns": [\(columns(["QCD", "top", "W"]))]},
            {"path": "jet", "type": "float64", "role": "jet", "columns": [\(columns([mass, "weight"]))]},
            {"path": "part", "type": "float32", "role": "constituent", "columns": [\(columns(["px", "py", "pz", "E"]))]},
            {"path": "tokens", "type": "\(tokens)", "role": "constituent", "columns": [\(columns(["token"]))]}]}
            """
        try Data(json.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }
}

extension HDF5Writer {
    fileprivate func add<Value>(_ path: String, _ element: HDF5Element, _ shape: [Int], _ values: [Value]) throws {
        let chunk = [min(shape[0], 64)] + shape.dropFirst()
        try create(HDF5DatasetPlan(path: path, element: element, shape: shape, chunkShape: chunk, deflateLevel: 1))
        try values.withUnsafeBytes { try write($0, rows: 0..<shape[0], to: path) }
    }
}
