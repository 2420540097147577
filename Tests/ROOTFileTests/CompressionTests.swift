import ROOTFile
import Testing

@Suite struct CompressionTests {
    @Test func `an unknown codec is refused by its tag`() throws {
        let payload: [UInt8] = [0x51, 0x51, 1, 1, 0, 0, 40, 0, 0, 9]
        var target = [UInt8](repeating: 0, count: 40)
        #expect(throws: ROOTError.self) {
            try payload.withUnsafeBytes { payload in
                try target.withUnsafeMutableBytes { try ROOTDecoder().decompress(payload, into: $0) }
            }
        }
    }
}
