import ArrowIPC
import Foundation
import Shards
import Support
import TestSupport
import Testing

/// That a loop over record batches takes no memory of the heap, counted by a malloc that is put before the library's.
@Suite struct AllocationTests {
    @Test(.enabled(if: AllocationCounter.canRun, "there is no C compiler"))
    func `a process that counts its allocations finds none`() throws {
        let (status, text) = try AllocationCounter.run(filter: "counted in steady state")
        #expect(status == 0, "\(text.suffix(3000))")
        for compression in Datasets.compressions { #expect(text.contains("\(compression): 0 allocations")) }
    }

    @Test(
        .enabled(if: AllocationCounter.count != nil, "no counter of allocations is preloaded"),
        arguments: Datasets.compressions)
    func `reading and mapping are counted in steady state`(compression: BodyCompression) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        try Datasets.convert(directory.file("d"), compression) {
            $0.shardBytes = 1 << 30
            $0.batchRows = 50
        }
        let dataset = try Dataset(directory: directory.file("d"))
        let count = try #require(AllocationCounter.count)
        let columns = ["jet_pt", "pt", "dphi", "x_bits"].compactMap(dataset.schema.index)
        let reader = try ColumnReader(dataset: dataset, columns: columns, maps: MappedShards(dataset: dataset))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { memory.deallocate() }
        var mapped = MappedColumns()
        func round() throws -> Int {
            let before = count()
            for batch in 0..<dataset.batchCount {
                try reader.read(batch)
                for slot in columns.indices {
                    try reader.decodeValues(
                        slot, into: UnsafeMutableRawBufferPointer(rebasing: memory[..<reader.valueBytes(slot)]))
                    guard try reader.childLength(slot) != nil else { continue }
                    let offsets = memory.bindMemory(to: Int32.self)
                    try reader.decodeOffsets(
                        slot, into: UnsafeMutableBufferPointer(rebasing: offsets[...reader.rowCount]))
                }
                _ = try reader.map(batch, into: &mapped)
                reader.advise(batch)
                reader.release(batch)
            }
            return count() - before
        }
        // The first round makes contexts and memory.
        #expect(try round() > 0)
        let later = try round()
        print("\(compression): \(later) allocations in \(dataset.batchCount) batches")
        #expect(later == 0)
    }
}
