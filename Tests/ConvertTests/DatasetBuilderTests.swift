import ArrowIPC
import Convert
import Foundation
import Shards
import Support
import TestSupport
import Testing

@Suite struct DatasetBuilderTests {
    /// All rows of a dataset, with where they came from.
    private static func rows(_ path: String) throws -> (columns: JetColumns, dataset: Dataset) {
        let dataset = try Dataset(directory: path), encoding = dataset.catalogue.encoding
        let all = JetColumns(fields: encoding.fields), part = JetColumns(fields: encoding.fields)
        let reader = dataset.makeReader(), decoder = try JetDecoder(encoding: encoding, file: path)
        for batch in 0..<dataset.batchCount {
            try decoder.decode(try reader.read(batch), into: part, file: path)
            all.append(0..<part.rows, of: part)
        }
        return (all, dataset)
    }

    /// Gives a builder rows in pieces of a length that has nothing to do with record batches.
    private static func give(
        _ rows: Range<Int>, of columns: JetColumns, _ fields: [SourceField], to builder: DatasetBuilder
    ) throws {
        let part = JetColumns(fields: fields)
        var row = rows.lowerBound
        while row < rows.upperBound {
            part.resize(rows: 0, constituents: 0)
            let end = min(rows.upperBound, row + 100)
            part.append(row..<end, of: columns)
            try builder.append(part)
            row = end
        }
    }

    /// 1,727 jets are eleven record batches, and no shard but the last holds fewer than three.
    private static func options(_ change: (inout ConversionOptions) -> Void = { _ in }) -> ConversionOptions {
        var options = ConversionOptions()
        options.batchRows = 157
        options.shardBytes = 200_000
        change(&options)
        return options
    }

    private static func isSound(_ path: String) throws -> Bool {
        var verifier = DatasetVerifier(directory: path)
        verifier.provesLosslessness = true
        return try verifier.run().isSound
    }

    @Test func `rows of a converted dataset make the same shards and index again`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let (first, second) = (directory.file("a"), directory.file("b"))
        let schema = MadeInput.aspenOpenJets
        let converted = try Converter(inputs: [Package.sample], output: first, schema: schema, options: Self.options())
            .run()
        let (columns, dataset) = try Self.rows(first)
        let builder = try DatasetBuilder(
            directory: second, schema: schema, options: Self.options(), command: "copy",
            provenanceOptions: ["why": "test"],
            inputs: converted.provenance.inputs, slots: 150)
        #expect(schema.fields.map(\.name) == converted.encoding.fields.map(\.name))
        try Self.give(0..<columns.rows, of: columns, schema.fields, to: builder)
        let built = try builder.finish()
        #expect(try Self.isSound(second))
        #expect(built.fingerprint == converted.fingerprint && built.encoding == converted.encoding)
        #expect(built.splits == converted.splits && built.cutFlow == converted.cutFlow)
        #expect(built.shards.count > 2 && dataset.batchCount == 11)
        #expect(built.provenance.command == "copy" && built.provenance.options["why"] == "test")
        var (theirs, ours) = (try contents(of: first), try contents(of: second))
        for name in ["dataset.json", "parity/dataset.json"] {
            theirs[name] = nil
            ours[name] = nil
        }
        #expect(ours == theirs)
    }

    @Test(arguments: [true, false])
    func `what was given up is no dataset, and the next builder ends with the same bytes`(skips: Bool) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        _ = try Converter(
            inputs: [Package.sample], output: directory.file("a"), schema: MadeInput.aspenOpenJets,
            options: Self.options()
        ).run()
        let (columns, dataset) = try Self.rows(directory.file("a"))
        // Nothing to probe: the finished rows are known at once. Else they are with the first record batch.
        var schema = MadeInput.aspenOpenJets
        if skips {
            schema.momenta = nil
            for index in schema.datasets.indices {
                for column in schema.datasets[index].columns.indices {
                    schema.datasets[index].columns[column].narrow = nil
                }
            }
        }
        func builder(_ name: String, _ change: (inout ConversionOptions) -> Void = { _ in }) throws -> DatasetBuilder {
            try DatasetBuilder(
                directory: directory.file(name), schema: schema, options: Self.options(change), command: "copy",
                inputs: dataset.catalogue.provenance.inputs)
        }
        let whole = try builder("whole")
        #expect(whole.rowsDone == 0)
        try Self.give(0..<columns.rows, of: columns, schema.fields, to: whole)
        _ = try whole.finish()

        let stopped = try builder("parts")
        try Self.give(0..<1300, of: columns, schema.fields, to: stopped)
        stopped.abandon()
        #expect(throws: DatasetError.self) { try Dataset(directory: directory.file("parts")) }
        #expect(throws: ConvertError.self) { try stopped.append(columns) }
        #expect(throws: ConvertError.self) { try stopped.finish() }
        #expect(throws: DatasetError.self) {
            let other = try builder("parts") { $0.batchRows = 100 }
            try Self.give(0..<columns.rows, of: columns, schema.fields, to: other)
        }

        let second = try builder("parts")
        let done = skips ? second.rowsDone : 0
        #expect(skips == (done > 0) && done % 157 == 0)
        if skips {
            #expect(throws: ConvertError.self) { try second.skip(done + 1) }
            try second.skip(done)
        }
        try Self.give(done..<columns.rows, of: columns, schema.fields, to: second)
        _ = try second.finish()
        #expect(try contents(of: directory.file("parts")) == contents(of: directory.file("whole")))
    }

    @Test func `fewer rows than an earlier run has written are an error`() throws {
        let directory = try TemporaryDirectory(inMemory: true), schema = MadeInput.aspenOpenJets
        _ = try Converter(
            inputs: [Package.sample], output: directory.file("a"), schema: schema, options: Self.options()
        )
        .run()
        let (columns, dataset) = try Self.rows(directory.file("a"))
        let inputs = dataset.catalogue.provenance.inputs
        let first = try DatasetBuilder(
            directory: directory.file("b"), schema: schema, options: Self.options(), command: "copy", inputs: inputs)
        try Self.give(0..<1300, of: columns, schema.fields, to: first)
        first.abandon()
        let second = try DatasetBuilder(
            directory: directory.file("b"), schema: schema, options: Self.options(), command: "copy", inputs: inputs)
        try Self.give(0..<157, of: columns, schema.fields, to: second)
        #expect(throws: ConvertError.self) { try second.finish() }
        #expect(throws: DatasetError.self) { try Dataset(directory: directory.file("b")) }
    }

    private static let input = InputEntry(name: "x", bytes: 0, headTailDigest: Digest(value: 0), rows: 4, layout: nil)

    /// Jets of the schema `generated`: jet i has i constituents.
    private static func made(_ rows: Int, _ fields: [SourceField]) -> JetColumns {
        let columns = JetColumns(fields: fields)
        let offsets = (0...rows).map { Int32($0 * ($0 - 1) / 2) }
        columns.resize(rows: rows, constituents: Int(offsets[rows]))
        for (row, offset) in offsets.enumerated() { columns.offsetNumbers[row] = offset }
        for field in fields.indices {
            let bytes = columns.byteCount(of: field)
            columns.fields[field].base.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
            guard fields[field].role == .constituent else { continue }
            let values = columns.fields[field].elements(Float.self, count: columns.constituents)
            let value: Float = [3, 4, 12, 13][field % 4]
            for place in values.indices { values[place] = value }
        }
        return columns
    }

    @Test func `momenta without a lattice are stored as they are, with their sums`() throws {
        let directory = try TemporaryDirectory(inMemory: true), schema = try SourceSchema(named: "generated")
        let path = directory.file("jets")
        let builder = try DatasetBuilder(
            directory: path, schema: schema, command: "make", inputs: [Self.input], slots: 3)
        try builder.append(
            Self.made(4, schema.fields), origins: [.init(input: 0, rows: 2..<4), .init(input: 0, rows: 0..<2)])
        let catalogue = try builder.finish()
        #expect(try Self.isSound(path))
        #expect(catalogue.encoding.lattice == nil && catalogue.fullJets == 1)
        #expect(catalogue.splits?.columns == ["run", "lumi", "event"] && catalogue.keys == ["run", "event", "jet_pt"])
        let dataset = try Dataset(directory: path), batch = try dataset.makeReader().read(0), body = BodyDecoder()
        func values<Value: ArrowValue>(_ name: String, _ type: Value.Type) throws -> [Value] {
            try batch.values(ofColumn: try #require(dataset.schema.index(of: name)), as: type, using: body)
        }
        #expect(try values("sum_pt", Float.self) == [0, 5, 10, 15])
        #expect(try values("sum_mass", Float.self) == [0, 0, 0, 0])
        #expect(try values("n_constituents", UInt16.self) == [0, 1, 2, 3])
        #expect(try values("source_row", Int64.self) == [2, 3, 0, 1])
        let files = try Exporter(dataset: path, output: directory.file("out")).run()
        #expect(files.map(\.file) == [directory.file("out/x.h5")])
        // The file is one of the schema.
        let again = try Converter(
            inputs: [directory.file("out/x.h5")], output: directory.file("again"), schema: schema, options: .init()
        ).run()
        #expect(again.constituents == 6)
    }

    @Test func `columns that do not fit are refused`() throws {
        let directory = try TemporaryDirectory(inMemory: true), schema = try SourceSchema(named: "generated")
        func builder(_ inputs: [InputEntry] = [Self.input], _ splits: Splits? = nil) throws -> DatasetBuilder {
            try DatasetBuilder(
                directory: directory.file("d"), schema: schema, command: "make", inputs: inputs, splits: splits)
        }
        #expect(throws: ConvertError.self) { try builder([]) }
        #expect(throws: ConvertError.self) { try builder([Self.input], Splits(columns: ["nothing"], parts: [])) }
        let made = try builder()
        // Another process may not write there; nor may this one twice.
        #expect(throws: DatasetError.self) { try builder() }
        #expect(throws: ConvertError.self) { try made.append(Self.made(2, Array(schema.fields.dropLast()))) }
        // The same types in the same order, but for the roles.
        #expect(schema.fields.map(\.type) == schema.fields.reversed().map(\.type))
        #expect(throws: ConvertError.self) { try made.append(Self.made(2, schema.fields.reversed())) }
        let rows = Self.made(3, schema.fields)
        #expect(throws: ConvertError.self) { try made.append(rows, origins: [.init(input: 1, rows: 0..<3)]) }
        #expect(throws: ConvertError.self) { try made.append(rows, origins: [.init(input: 0, rows: 0..<2)]) }
        for offsets: [Int32] in [[0, 0, 2, 3], [1, 0, 0, 3], [0, 2, 1, 3], [0, 0, 1, 70_000], [0, .min, .max, 3]] {
            let wrong = Self.made(3, schema.fields)
            for (row, offset) in offsets.enumerated() { wrong.offsetNumbers[row] = offset }
            if offsets == [0, 0, 2, 3] {
                try made.append(wrong)
            } else {
                #expect(throws: ConvertError.self, "\(offsets)") { try made.append(wrong) }
            }
        }
        #expect(try made.finish().rows == 3)
        #expect(throws: DatasetError.self) { try builder() }
        // One that was given up before its first shard leaves nothing, not even the directory.
        let other = try DatasetBuilder(
            directory: directory.file("e"), schema: schema, command: "make", inputs: [Self.input])
        try other.append(rows)
        #expect(FileManager.default.fileExists(atPath: directory.file("e")))
        other.abandon()
        #expect(!FileManager.default.fileExists(atPath: directory.file("e")))
    }

    @Test func `momenta that are named in part are no schema`() throws {
        let text = String(
            decoding: try InputFile(path: Package.root + "/schemas/sources/generated.json").readAll(), as: UTF8.self)
        for (from, to) in [
            ("\"E\"] }", "\"E\"], \"pdgId\": \"px\" }"), ("\"E\"] }", "\"E\"], \"axis\": [\"jet_eta\", \"jet_phi\"] }"),
            ("[\"px\", \"py\", \"pz\", \"E\"] }", "[\"px\", \"py\", \"pz\"] }"),
        ] {
            let changed = text.replacingOccurrences(of: from, with: to)
            #expect(changed != text)
            #expect(throws: ConvertError.self) { try SourceSchema(json: Array(changed.utf8), file: "x.json") }
        }
    }
}
