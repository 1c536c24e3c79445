SELECT ? AS one -- "quoted"
