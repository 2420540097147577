import ArrowIPC
import Shards
import TestSupport
import Testing

@Suite struct JetRowsTests {
    @Test(arguments: Datasets.compressions)
    func `any stretch of rows is that of whole record batches decoded`(compression: BodyCompression) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        try Datasets.convert(directory.file("d"), compression) { $0.batchRows = 100 }
        let dataset = try Dataset(directory: directory.file("d")), encoding = dataset.catalogue.encoding
        let whole = JetColumns(fields: encoding.fields), one = JetColumns(fields: encoding.fields)
        let reader = dataset.makeReader(), decoder = try JetDecoder(encoding: encoding, file: "d")
        for number in 0..<dataset.batchCount {
            try decoder.decode(reader.read(number), into: one, file: "d")
            whole.append(0..<one.rows, of: one)
        }
        let names = encoding.fields.map(\.name), count = whole.rows
        for rows in [
            0..<count, 0..<1, 99..<101, 100..<200, 37..<min(640, count), count - 1..<count, 5..<5, count..<count,
        ] {
            let found = try JetRows(dataset, rows: rows)
            #expect(found.fields == encoding.fields)
            let starts = whole.offsetNumbers, first = Int(starts[rows.lowerBound])
            #expect(
                Array(found.offsets) == rows.map { Int32(Int(starts[$0]) - first) } + [
                    starts[rows.upperBound] - Int32(first)
                ])
            #expect(found.constituents == Int(starts[rows.upperBound]) - first)
            for field in names.indices {
                let width = encoding.fields[field].type.width
                let range =
                    encoding.fields[field].role == .constituent
                    ? first * width..<Int(starts[rows.upperBound]) * width
                    : rows.lowerBound * width..<rows.upperBound * width
                #expect(
                    Array(found.bytes(of: field)) == Array(whole.bytes(of: field)[range]), "\(names[field]) of \(rows)")
            }
        }
        let some = try JetRows(dataset, rows: 3..<9, columns: ["sum_pt", "jet_pt"])
        #expect(some.fields.map(\.name) == ["sum_pt", "jet_pt"] && some.bytes(of: 0).count == 24)
    }

    @Test func `rows and columns that are not there are errors`() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        try Datasets.convert(directory.file("d"), .lz4)
        let dataset = try Dataset(directory: directory.file("d"))
        for rows in [-1..<3, 0..<1_000_000] {
            let error = #expect(throws: DatasetError.self) { try JetRows(dataset, rows: rows) }
            #expect(error?.code == .usage && error?.place.hasPrefix("rows ") == true)
        }
        let error = #expect(throws: DatasetError.self) { try JetRows(dataset, rows: 0..<1, columns: ["px", "nope"]) }
        #expect(error?.place == "column nope" && error?.advice?.contains("jet_pt") == true)
    }
}
